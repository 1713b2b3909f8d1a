/**
 * Learning by a parametrisation outside the graph (optimize/parametrisation/), in one stage of a fit, and what a run records of it: the coefficients
 * nearest to the merged weights, for tables and figures, beside the weights themselves. N merged tensors, K tasks.
 */
import { type Bundle, readBase, readTaskVectors } from "../../checkpoint/bundle.js";
import { PARAMETRISATION_TITLES } from "../../config/parametrisation.js";
import { mergeableTensors, unchangedTensors } from "../../merge/merged-weights.js";
import { nearestCoefficients } from "../../merge/nearest-coefficients.js";
import type { Parametrisation } from "../../optimize/parametrisation/parametrisation.js";
import { openParametrised } from "../../optimize/parametrisation/parametrised-weights.js";
import { initWeightState, nextWeightState, trainWeights, type WeightTrainState } from "../../optimize/train-weights.js";
import { judgeWeights, scoresOf } from "../judge/judge-models.js";
import { nearestRecord } from "../records/records.js";
import { consume } from "./consume-events.js";
import { looker } from "./look.js";
import type { StageConfig, StageEnd, StageOptions, StageResult, StageSession } from "./stage.js";
import { locatorOfWeights, loopOptions } from "./training.js";

type Weights = ReadonlyMap<string, Float32Array>;

/** Learns in one stage, from its checkpoint `from` or from where the `former` ended. A fit that failed leaves its last checkpoint and throws. */
export async function learnWeights(
  { config, parametrisation, whole }: StageConfig & { readonly parametrisation: Parametrisation },
  { engine, inputs, evaluation, step, data }: StageSession,
  { signal, consumers, folder, stage, beside }: StageOptions,
  from?: WeightTrainState,
  former?: StageEnd,
): Promise<StageResult> {
  const { bundle } = inputs;
  const weights = await openParametrised(bundle, parametrisation, from?.startWeights ?? former?.merged);
  const unchanged = await unchangedTensors(bundle);
  const complete = (merged: Weights): Weights => new Map([...unchanged, ...merged]);
  const look = await looker(config, { engine, inputs, evaluation }, data);
  const training = {
    ...loopOptions(config, inputs, data, { signal, stage }),
    step,
    weights,
    title: PARAMETRISATION_TITLES[config.parametrisation],
    tensors: mergeableTensors(bundle),
    locateNonFinite: locatorOfWeights(config, engine, inputs, data, stage),
    evaluate: async (merged: Weights, step: number) => {
      await beside?.(step, async () => complete(merged));
      const scores = scoresOf(await judgeWeights(whole, inputs, complete(merged), evaluation));
      return { scores, coefficients: (await nearestTo(bundle, merged)).values };
    },
    look: look && ((merged: Weights) => look(complete(merged))),
  };
  const begin = (): Promise<WeightTrainState> =>
    former === undefined
      ? initWeightState(weights, config.coefficients.initial)
      : nextWeightState(weights, former.merged, former);
  const state = { ...(from ?? (await begin())), ...(stage === undefined ? {} : { stage: stage.index }) };
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
      return { record, step: state.step, merged: { weights: complete(merged) }, gradientCosine: undefined, stopping };
    },
  };
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
