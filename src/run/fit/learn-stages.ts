/** The stages of a fit, one after the other, each from the weights that the former ended with. A fit without stages is one of them. */
import type { RunConfig } from "../../config/schema.js";
import { assert } from "../../errors.js";
import type { TrainState } from "../../optimize/events.js";
import { parametrisationOf } from "../../optimize/parametrisation/registry.js";
import { longestLength } from "../../optimize/step-inputs.js";
import type { StagePlace } from "../../optimize/training-loop.js";
import type { Session } from "../session/session.js";
import type { Learned } from "./judge-fit.js";
import { headsAt } from "./judge-heads.js";
import { learnCoefficients } from "./learn-coefficients.js";
import { learnWeights } from "./learn-weights.js";
import type { PreparedFit } from "./learning-data.js";
import type { StageConfig, StageEnd, StageOptions, StageResult, StageSession } from "./stage.js";
import { compileStep } from "./training.js";

type Concluded = Learned & Pick<StageResult, "reason">;

/** Learns what the config says, from `from` where a run is resumed, and keeps it. Throws what a stage failed of. */
export async function learnStages(
  whole: RunConfig,
  session: Session,
  { step: first, stages }: PreparedFit,
  options: Omit<StageOptions, "stage">,
  from?: TrainState,
): Promise<Concluded> {
  const places = whole.stages === null ? [] : placesOf(stages.map(({ config }) => config.steps));
  const resumedAt = from?.stage ?? 0;
  let former: StageEnd | undefined;
  for (const [index, { config, data }] of stages.entries()) {
    const stage = places[index];
    if (index < resumedAt) {
      if (index === 0) await first.close();
      continue;
    }
    const start = index === resumedAt ? from : undefined;
    const { engine, inputs } = session;
    const heads = headsAt(inputs, (start ?? former)?.heads) ?? inputs.heads;
    const longest = longestLength(inputs.model.lengths, data.examples);
    const step = index === 0 ? first : await compileStep(engine, { ...inputs, heads }, config, longest, stage);
    const own = { ...session, step, data, heads };
    const result = await learnStage({ config, whole }, own, { ...options, stage }, start, former);
    if (result.reason !== "finished" || index === stages.length - 1)
      return { ...(await result.conclude()), reason: result.reason };
    former = await result.end();
  }
  assert(false, "a fit without a stage");
}

/** `from` is of a checkpoint of this stage, `former` the end of the stage before it. */
async function learnStage(
  stageConfig: StageConfig,
  session: StageSession,
  options: StageOptions,
  from: TrainState | undefined,
  former: StageEnd | undefined,
): Promise<StageResult> {
  const parametrisation = parametrisationOf(stageConfig.config);
  const start = from ?? former;
  if (parametrisation === undefined) {
    assert(start === undefined || "rawKL" in start, "a state of another parametrisation");
    return learnCoefficients(stageConfig, session, options, start, from === undefined && former !== undefined);
  }
  assert(from === undefined || "parametersP" in from, "a state of another parametrisation");
  return learnWeights({ ...stageConfig, parametrisation }, session, options, from, former);
}

function placesOf(steps: readonly number[]): readonly StagePlace[] {
  const startedMs = performance.now();
  const stepsOfAll = steps.reduce((sum, own) => sum + own, 0);
  let stepsBefore = 0;
  return steps.map((own, index) => {
    const place = { index, count: steps.length, stepsBefore, stepsOfAll, startedMs };
    stepsBefore += own;
    return place;
  });
}
