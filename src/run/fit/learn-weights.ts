/**
 * Learning by a parametrisation outside the graph (optimize/parametrisation/), in one stage of a fit, and what a run records of it: the coefficients
 * nearest to the merged weights, for tables and figures, beside the weights themselves. N merged tensors, K tasks.
 */
import { type Bundle, readBase, readTaskVectors } from "../../checkpoint/bundle.js";
import type { RunConfig } from "../../config/schema.js";
import { stageTitle } from "../../config/stages.js";
import { mergeableTensors, mergedTensors, unchangedTensors } from "../../merge/merged-weights.js";
import { nearestCoefficients } from "../../merge/nearest-coefficients.js";
import { beginHeads, type HeadsState } from "../../optimize/learned-heads.js";
import type { Parametrisation } from "../../optimize/parametrisation/parametrisation.js";
import { openParametrised } from "../../optimize/parametrisation/parametrised-weights.js";
import { initWeightState, nextWeightState, trainWeights, type WeightTrainState } from "../../optimize/train-weights.js";
import { collect } from "../judge/evaluate-weights.js";
import { judgeWeights, perTensor, scoresOf } from "../judge/judge-models.js";
import { nearestRecord } from "../records/records.js";
import type { Inputs } from "../session/inputs.js";
import { consume } from "./consume-events.js";
import { headsAt, learnedHeadsOf, withHeads } from "./judge-heads.js";
import { looker } from "./look.js";
import type { StageConfig, StageEnd, StageOptions, StageResult, StageSession } from "./stage.js";
import { locatorOfWeights, loopOptions } from "./training.js";

type Weights = ReadonlyMap<string, Float32Array>;

/** Learns in one stage, from its checkpoint `from` or from where the `former` ended. A fit that failed leaves its last checkpoint and throws. */
export async function learnWeights(
  { config, parametrisation, whole }: StageConfig & { readonly parametrisation: Parametrisation },
  { engine, inputs, evaluation, step, data, heads }: StageSession,
  { signal, consumers, folder, stage, beside }: StageOptions,
  from?: WeightTrainState,
  former?: StageEnd,
): Promise<StageResult> {
  const { bundle } = inputs;
  const start = from?.startWeights ?? former?.merged ?? (await fixedStart(config, inputs));
  const weights = await openParametrised(bundle, parametrisation, start);
  const unchanged = await unchangedTensors(bundle);
  const complete = (merged: Weights): Weights => new Map([...unchanged, ...merged]);
  const look = await looker(config, { engine, inputs, evaluation }, data);
  const judging = <T>(own: HeadsState | undefined, judge: () => Promise<T>): Promise<T> =>
    withHeads({ inputs, evaluation }, headsAt(inputs, own), judge);
  const training = {
    ...loopOptions(config, inputs, data, { signal, stage, heads }),
    step,
    weights,
    title: stageTitle(config),
    tensors: mergeableTensors(bundle),
    locateNonFinite: locatorOfWeights(config, engine, inputs, data, stage),
    evaluate: (merged: Weights, step: number, own?: HeadsState) =>
      judging(own, async () => {
        await beside?.(step, async () => complete(merged));
        const scores = scoresOf(await judgeWeights(whole, inputs, complete(merged), evaluation));
        return { scores, coefficients: (await nearestTo(bundle, merged)).values };
      }),
    look: look && ((merged: Weights, own?: HeadsState) => judging(own, () => look(complete(merged)))),
  };
  const begin = (): Promise<WeightTrainState> =>
    former === undefined
      ? initWeightState(weights, config.coefficients.initial)
      : nextWeightState(weights, former.merged, former);
  const begun = from ?? (await begin());
  const state = {
    ...begun,
    ...beginHeads(begun, training.heads, heads),
    ...(stage === undefined ? {} : { stage: stage.index }),
  };
  const result = await consume(trainWeights(training, state), consumers);
  await step.close();
  if (result.failure !== undefined) throw result.failure;
  const merged = weights.arrays();
  await weights.merge(result.state.parametersP, merged);
  return {
    reason: result.reason,
    end: async () => ({ ...result.state, merged }),
    conclude: async () => {
      const { values, outside } = await nearestTo(bundle, merged);
      const record = nearestRecord(whole, inputs, values, outside);
      await folder.writeCoefficients(record);
      const { state, stopping } = result;
      const learned = { weights: complete(merged) };
      const ofHeads = learnedHeadsOf(inputs, state);
      return { record, step: state.step, merged: learned, gradientCosine: undefined, stopping, ...ofHeads };
    },
  };
}

/** What the weights of a first stage without parameters are: the start of all others. Undefined for a stage with some, which find it themselves. */
async function fixedStart({ parametrisation, coefficients }: RunConfig, inputs: Inputs): Promise<Weights | undefined> {
  if (parametrisation !== "none") return undefined;
  return collect(
    mergedTensors(
      inputs.bundle,
      perTensor(inputs, () => coefficients.initial),
    ),
  );
}

/** Coefficients [K][N] nearest to the merged tensors, and the share [N] of their change that these do not give. */
async function nearestTo(bundle: Bundle, merged: Weights): Promise<{ values: number[][]; outside: number[] }> {
  const values: number[][] = bundle.tasks.map(() => []);
  const outside: number[] = [];
  for (const tensor of bundle.tensors) {
    const mergedS = merged.get(tensor.name);
    if (tensor.taskVectors === undefined || mergedS === undefined) continue;
    const taskVectors = await readTaskVectors(bundle, tensor);
    const found = nearestCoefficients(await readBase(bundle, tensor), taskVectors, mergedS);
    for (const [task, row] of values.entries()) row.push(found.coefficientsK[task] ?? 0);
    outside.push(found.outside);
  }
  return { values, outside };
}
