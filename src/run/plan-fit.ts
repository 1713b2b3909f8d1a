/**
 * A fit tried and not run: everything is opened, compared and compiled as for a fit, one step and one evaluation batch are timed, and no run
 * is begun. What is built for it (task vectors, decoded images, heads) stays in the cache, where the fit finds it.
 */
import type { RunConfig } from "../config/schema.js";
import { exampleBatches } from "../data/batches.js";
import type { Executable } from "../engine/program.js";
import { assert } from "../errors.js";
import { STEP_INPUT_COEFFICIENTS } from "../optimize/step-program.js";
import type { TrainOptions } from "../optimize/train.js";
import { duration } from "../track/terminal.js";
import { type FitNeeds, fitNeeds, needsLines } from "./fit-needs.js";
import { prepareLearning } from "./learning-data.js";
import { modelWeights } from "./model-weights.js";
import { perTensor } from "./models.js";
import { evaluationBatch, type Session, type SessionOptions, withSession } from "./session.js";
import { trainOptions } from "./training.js";

export interface FitPlan {
  readonly suite: string;
  readonly tasks: readonly string[];
  readonly coefficients: number;
  readonly steps: number;
  readonly needs: FitNeeds;
  /** One step, timed after one that warmed up. */
  readonly stepSeconds: number;
  /** All judged images once, from one batch. */
  readonly evaluationSeconds: number;
  /** Steps and evaluations of the whole fit. */
  readonly totalSeconds: number;
}

/** Rows that are judged at the end of a fit: pretrained, averaging, learned. */
const FINAL_EVALUATIONS = 3;

/** Throws what a fit would throw before its first step. */
export function planFit(config: RunConfig, options: SessionOptions): Promise<FitPlan> {
  return withSession(config, options, (session) => planSession(config, session, options.cacheDir));
}

/** As `planFit`, in a session that is open already. */
export async function planSession(config: RunConfig, session: Session, cacheDir: string): Promise<FitPlan> {
  const { inputs, engine } = session;
  const { step, data } = await prepareLearning(config, session, cacheDir);
  const training = trainOptions(config, engine, inputs, data, {
    step,
    signal: session.evaluation.signal,
    gradientCosine: undefined,
    evaluate: () => Promise.resolve([]),
  });
  const stepSeconds = await timedStep(
    step,
    training,
    perTensor(inputs, () => config.coefficients.initial),
  );
  await step.close();
  const evaluationSeconds = await timedEvaluation(session, config);
  const { steps } = config;
  const { model, tasks, grouping, suite } = inputs;
  return {
    suite: suite.name,
    tasks: tasks.map(({ name }) => name),
    coefficients: tasks.length * grouping.groups.length,
    steps,
    needs: await fitNeeds(config, { model, tasks: tasks.length }, cacheDir),
    stepSeconds,
    evaluationSeconds,
    totalSeconds: totalSeconds({ stepSeconds, evaluationSeconds }, config),
  };
}

/** Steps and evaluations of a whole fit. */
export function totalSeconds(
  { stepSeconds, evaluationSeconds }: Pick<FitPlan, "stepSeconds" | "evaluationSeconds">,
  { steps, data }: Pick<RunConfig, "steps" | "data">,
): number {
  const along = data.eval_every === 0 ? 0 : Math.ceil(steps / data.eval_every);
  return steps * stepSeconds + (FINAL_EVALUATIONS + along) * evaluationSeconds;
}

/** The plan in lines for people. */
export function planLines(plan: FitPlan): readonly string[] {
  const { tasks, coefficients, steps, stepSeconds, evaluationSeconds } = plan;
  return [
    `fit: ${coefficients} coefficients of ${tasks.length} tasks (${tasks.join(", ")})`,
    ...needsLines(plan.needs),
    `time: about ${duration(plan.totalSeconds)} in all: ${steps} steps of ${stepSeconds.toPrecision(2)} s (one was timed), ${evaluationSeconds.toPrecision(2)} s for judging all images once`,
  ];
}

async function timedStep(step: Executable, training: TrainOptions, coefficientsNK: Float32Array): Promise<number> {
  const inputs = new Map([[STEP_INPUT_COEFFICIENTS, coefficientsNK], ...training.inputsAt(0)]);
  await step.run(inputs);
  const started = performance.now();
  await step.run(inputs);
  return (performance.now() - started) / 1000;
}

async function timedEvaluation({ inputs, evaluation }: Session, config: RunConfig): Promise<number> {
  const { classifier, examples, limit } = evaluation;
  const sizes = [...examples.values()].map(({ size }) => Math.min(size, limit ?? size));
  const batchSize = evaluationBatch(config.data);
  const batches = sizes.reduce((sum, size) => sum + Math.ceil(size / batchSize), 0);
  const [store] = examples.values();
  const [batch] = store === undefined ? [] : exampleBatches(store, batchSize);
  assert(batch !== undefined, "no judged examples");
  await classifier.setWeights(await modelWeights(inputs.base, inputs.base, inputs.model));
  await classifier.logits(batch.inputs);
  const started = performance.now();
  await classifier.logits(batch.inputs);
  return (batches * (performance.now() - started)) / 1000;
}
