/**
 * What is done to task vectors before their coefficients are learned. `tiesProcessing` is the "++" of AdaMerging++:
 * trim and sign election of TIES, but no aggregation: K processed task vectors stay K task vectors.
 * Sources: TIES-Merging (arXiv 2306.01708), steps 1 and 2; AdaMerging (arXiv 2310.02575), section 3.2; official
 * code of ties-merging @44e7891, ties_merging_utils.py: topk_values_mask, resolve_sign, resolve_zero_signs,
 * disjoint_merge. K tasks, N elements of one tensor, D elements of the whole model.
 *
 * Differs from the official code: the sum over tasks that elects a sign is float64, so only exact ties are zero;
 * tensors are streamed, so the model is never in memory as one vector; the values are the same.
 */
import type { ProcessTaskVectors, TaskVectorProcessing } from "../checkpoint/task-vectors.js";
import { ConfigError } from "../errors.js";
import { addKept, magnitudeThresholds, type TaskVectorStream, trim } from "./magnitudes.js";

/**
 * Per task keeps the `density` largest |tau| over the whole model, elects the sign of the sum over tasks for every
 * element, and sets to 0 what disagrees. `density` is in (0, 1], the paper's top 20 % by default.
 * Throws ConfigError for another density.
 */
export function tiesProcessing(parameters: { readonly density?: number } = {}): TaskVectorProcessing {
  const density = parameters.density ?? 0.2;
  if (!(density > 0 && density <= 1)) {
    throw new ConfigError(`density: expected a number above 0 and at most 1, found ${density}. The paper's is 0.2.`);
  }
  return { id: `ties:density=${density}`, prepare: (stream) => prepareTies(stream, density) };
}

async function prepareTies(stream: TaskVectorStream, density: number): Promise<ProcessTaskVectors> {
  const thresholds = await magnitudeThresholds(stream, density);
  const majority = await majoritySign(stream, thresholds);
  return (_name, taskVectors) => {
    trim(taskVectors, thresholds);
    electSigns(taskVectors, majority);
  };
}

/** Sign of the sum of the elected signs over the whole model; 0 if as many are positive as negative. */
export async function majoritySign(stream: TaskVectorStream, thresholds: readonly number[]): Promise<number> {
  let balance = 0;
  for await (const { taskVectors } of stream()) {
    const sumN = new Float64Array(taskVectors[0]?.length ?? 0);
    for (const [task, tauN] of taskVectors.entries()) addKept(sumN, tauN, thresholds[task] ?? 0);
    for (let i = 0; i < sumN.length; i++) balance += Math.sign(sumN[i] ?? 0);
  }
  return Math.sign(balance);
}

/** An elected sign that stays 0 keeps the negative elements, as `where(sign > 0, tau > 0, tau < 0)` does. */
export function electSigns(taskVectors: readonly Float32Array[], majority: number): void {
  const sumN = new Float64Array(taskVectors[0]?.length ?? 0);
  for (const tauN of taskVectors) addKept(sumN, tauN, 0);
  for (const tauN of taskVectors) {
    for (let i = 0; i < tauN.length; i++) {
      const tau = tauN[i] ?? 0;
      const positive = (Math.sign(sumN[i] ?? 0) || majority) > 0;
      if (positive ? tau <= 0 : tau >= 0) tauN[i] = 0;
    }
  }
}
