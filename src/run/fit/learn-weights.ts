/**
 * Learning by a parametrisation outside the graph (optimize/parametrisation/), and what a run records of it: the coefficients nearest to the
 * merged weights, for tables and figures, beside the weights themselves. N merged tensors, K tasks.
 */
import { type Bundle, readBase, readTaskVectors } from "../../checkpoint/bundle.js";
import { PARAMETRISATION_TITLES } from "../../config/parametrisation.js";
import type { RunConfig } from "../../config/schema.js";
import type { Executable } from "../../engine/program.js";
import { mergeableTensors, unchangedTensors } from "../../merge/merged-weights.js";
import { nearestCoefficients } from "../../merge/nearest-coefficients.js";
import type { Parametrisation } from "../../optimize/parametrisation/parametrisation.js";
import { openParametrised } from "../../optimize/parametrisation/parametrised-weights.js";
import { initWeightState, trainWeights, type WeightTrainState } from "../../optimize/train-weights.js";
import type { LoopResult } from "../../optimize/training-loop.js";
import type { RunFolder } from "../../track/run-folder.js";
import { judgeWeights, scoresOf } from "../judge/judge-models.js";
import { nearestRecord } from "../records/records.js";
import type { Session } from "../session/session.js";
import { consume, type EventConsumer } from "./consume-events.js";
import type { Learned } from "./judge-fit.js";
import { looker } from "./look.js";
import { type LearningData, loopOptions } from "./training.js";

interface LearnOptions {
  readonly signal: AbortSignal;
  readonly consumers: readonly EventConsumer[];
  readonly folder: RunFolder;
  readonly from?: WeightTrainState | undefined;
}

type Weights = ReadonlyMap<string, Float32Array>;

/** Learns and keeps the record. A fit that failed leaves its last checkpoint and throws. */
export async function learnWeights(
  config: RunConfig,
  parametrisation: Parametrisation,
  { engine, inputs, evaluation, step, data }: Session & { readonly step: Executable; readonly data: LearningData },
  { signal, consumers, folder, from }: LearnOptions,
): Promise<Learned & Pick<LoopResult<WeightTrainState>, "reason">> {
  const { bundle } = inputs;
  const weights = await openParametrised(bundle, parametrisation);
  const unchanged = await unchangedTensors(bundle);
  const whole = (merged: Weights): Weights => new Map([...unchanged, ...merged]);
  const look = await looker(config, { engine, inputs, evaluation }, data);
  const training = {
    ...loopOptions(config, inputs, data, signal),
    step,
    weights,
    title: PARAMETRISATION_TITLES[config.parametrisation],
    tensors: mergeableTensors(bundle),
    evaluate: async (merged: Weights) => ({
      scores: scoresOf(await judgeWeights(config, inputs, whole(merged), evaluation)),
      coefficients: (await nearestTo(bundle, merged)).values,
    }),
    look: look && ((merged: Weights) => look(whole(merged))),
  };
  const start = from ?? (await initWeightState(weights, config.coefficients.initial));
  const { state, failure, reason, stopping } = await consume(trainWeights(training, start), consumers);
  await step.close();
  if (failure !== undefined) throw failure;
  const merged = weights.arrays();
  await weights.merge(state.parametersP, merged);
  const { values, outside } = await nearestTo(bundle, merged);
  const record = nearestRecord(config, inputs, values, outside);
  await folder.writeCoefficients(record);
  return { record, step: state.step, reason, merged: { weights: whole(merged) }, gradientCosine: undefined, stopping };
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
