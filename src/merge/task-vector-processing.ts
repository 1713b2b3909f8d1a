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
import type { ProcessTaskVectors, TaskVectorProcessing, TensorTaskVectors } from "../checkpoint/task-vectors.js";
import { ConfigError } from "../errors.js";

type Stream = () => AsyncIterable<TensorTaskVectors>;

/** Magnitudes are ordered like the lower 31 bits of their float32 pattern: 16 bits for one pass, 15 for the next. */
const MAGNITUDE_MASK = 0x7fff_ffff;
const LOW_BITS = 15;
const HIGH_BINS = 1 << 16;
const LOW_BINS = 1 << LOW_BITS;

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

async function prepareTies(stream: Stream, density: number): Promise<ProcessTaskVectors> {
  const thresholds = await magnitudeThresholds(stream, density);
  const majority = await majoritySign(stream, thresholds);
  return (_name, taskVectors) => {
    trim(taskVectors, thresholds);
    electSigns(taskVectors, majority);
  };
}

/**
 * Per task the bit pattern of the smallest magnitude kept: the k-th smallest of D, k = D - floor(D * density), as
 * `kthvalue(k)` and `>=` of the official code (so floor(D * density) + 1 elements are kept, and more on ties).
 * Exact in two passes: count the upper 16 bits of all magnitudes, then the lower 15 within the bin that k falls in.
 */
async function magnitudeThresholds(stream: Stream, density: number): Promise<number[]> {
  const high: Float64Array[] = [];
  let elements = 0;
  for await (const { taskVectors } of stream()) {
    elements += taskVectors[0]?.length ?? 0;
    for (const [task, tauN] of taskVectors.entries()) {
      high[task] ??= new Float64Array(HIGH_BINS);
      countHigh(high[task], tauN);
    }
  }
  const rank = elements - Math.floor(elements * density);
  // torch refuses kthvalue(0); keeping everything is what density 1 means.
  if (rank < 1) return high.map(() => 0);
  const found = high.map((counts) => binOfRank(counts, rank));
  const low = high.map(() => new Float64Array(LOW_BINS));
  for await (const { taskVectors } of stream()) {
    for (const [task, tauN] of taskVectors.entries()) countLow(low[task], tauN, found[task]?.bin ?? 0);
  }
  return found.map(({ bin, rankInBin }, task) => {
    const counts = low[task] ?? new Float64Array(LOW_BINS);
    return (bin << LOW_BITS) | binOfRank(counts, rankInBin).bin;
  });
}

function countHigh(counts: Float64Array, tauN: Float32Array): void {
  const words = bitsOf(tauN);
  for (let i = 0; i < words.length; i++) {
    const bin = ((words[i] ?? 0) & MAGNITUDE_MASK) >>> LOW_BITS;
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
}

function countLow(counts: Float64Array | undefined, tauN: Float32Array, highBin: number): void {
  if (counts === undefined) return;
  const words = bitsOf(tauN);
  for (let i = 0; i < words.length; i++) {
    const magnitude = (words[i] ?? 0) & MAGNITUDE_MASK;
    if (magnitude >>> LOW_BITS !== highBin) continue;
    const bin = magnitude & (LOW_BINS - 1);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
}

/** The bin that holds the element of this rank (from 1), and its rank among the elements of the bin. */
function binOfRank(counts: Float64Array, rank: number): { bin: number; rankInBin: number } {
  let left = rank;
  for (let bin = 0; bin < counts.length; bin++) {
    const count = counts[bin] ?? 0;
    if (left <= count) return { bin, rankInBin: left };
    left -= count;
  }
  return { bin: counts.length - 1, rankInBin: left };
}

/** Sign of the sum of the elected signs over the whole model; 0 if as many are positive as negative. */
async function majoritySign(stream: Stream, thresholds: readonly number[]): Promise<number> {
  let balance = 0;
  for await (const { taskVectors } of stream()) {
    const sumN = new Float64Array(taskVectors[0]?.length ?? 0);
    for (const [task, tauN] of taskVectors.entries()) addKept(sumN, tauN, thresholds[task] ?? 0);
    for (let i = 0; i < sumN.length; i++) balance += Math.sign(sumN[i] ?? 0);
  }
  return Math.sign(balance);
}

/** Adds the elements of `tauN` that trimming keeps; a threshold of 0 keeps all. */
function addKept(sumN: Float64Array, tauN: Float32Array, threshold: number): void {
  const words = bitsOf(tauN);
  for (let i = 0; i < words.length; i++) {
    if (((words[i] ?? 0) & MAGNITUDE_MASK) >= threshold) sumN[i] = (sumN[i] ?? 0) + (tauN[i] ?? 0);
  }
}

function trim(taskVectors: readonly Float32Array[], thresholds: readonly number[]): void {
  for (const [task, tauN] of taskVectors.entries()) {
    const threshold = thresholds[task] ?? 0;
    const words = bitsOf(tauN);
    for (let i = 0; i < words.length; i++) {
      if (((words[i] ?? 0) & MAGNITUDE_MASK) < threshold) words[i] = 0;
    }
  }
}

/** An elected sign that stays 0 keeps the negative elements, as `where(sign > 0, tau > 0, tau < 0)` does. */
function electSigns(taskVectors: readonly Float32Array[], majority: number): void {
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

/** The bit patterns of float32 values, sharing their memory. */
function bitsOf(tauN: Float32Array): Uint32Array {
  return new Uint32Array(tauN.buffer, tauN.byteOffset, tauN.length);
}
