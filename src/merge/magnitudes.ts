/**
 * Selecting the largest magnitudes of whole task vectors, exactly, without ever holding a model as one vector.
 * Sources: TIES-Merging (arXiv 2306.01708), step 1; official code of ties-merging @44e7891, ties_merging_utils.py: topk_values_mask.
 * K tasks, N elements of one piece, D elements of the whole model.
 */
import { binOfRank } from "./bin-of-rank.js";

/** Task vectors in any pieces, always in the same order. */
export type TaskVectorStream = () => AsyncIterable<{ readonly taskVectors: readonly Float32Array[] }>;

/** Magnitudes are ordered like the lower 31 bits of their float32 pattern: 16 bits for one pass, 15 for the next. */
const MAGNITUDE_MASK = 0x7fff_ffff;
const LOW_BITS = 15;
const HIGH_BINS = 1 << 16;
const LOW_BINS = 1 << LOW_BITS;

/**
 * Per task the bit pattern of the smallest magnitude kept: the k-th smallest of D, k = D - floor(D * density), as
 * `kthvalue(k)` and `>=` of the official code (so floor(D * density) + 1 elements are kept, and more on ties).
 * Exact in two passes: count the upper 16 bits of all magnitudes, then the lower 15 within the bin that k falls in.
 */
export async function magnitudeThresholds(stream: TaskVectorStream, density: number): Promise<number[]> {
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
  const found = high.map((counts) => binOfRank(counts, rank - 1));
  const low = high.map(() => new Float64Array(LOW_BINS));
  for await (const { taskVectors } of stream()) {
    for (const [task, tauN] of taskVectors.entries()) countLow(low[task], tauN, found[task]?.bin ?? 0);
  }
  return found.map(({ bin, before }, task) => {
    const counts = low[task] ?? new Float64Array(LOW_BINS);
    return (bin << LOW_BITS) | binOfRank(counts, before).bin;
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

/** One element's place when those of a piece are sorted by magnitude, equal ones in the order of their indices. */
export interface MagnitudeRank {
  /** Bit pattern of its magnitude; -1 for what is below all, Infinity for what is above all. */
  readonly pattern: number;
  /** Its rank among the elements of equal magnitude, from 1. */
  readonly among: number;
}

/** The elements of these two ranks (from 1, ascending) by magnitude; ranks below 1 and above N lie beyond all elements. */
export function magnitudesOfRanks(tauN: Float32Array, ...ranks: [number, number]): [MagnitudeRank, MagnitudeRank] {
  const high = new Float64Array(HIGH_BINS);
  countHigh(high, tauN);
  const find = (rank: number): MagnitudeRank => {
    if (rank < 1) return { pattern: -1, among: 0 };
    if (rank > tauN.length) return { pattern: Number.POSITIVE_INFINITY, among: 0 };
    const { bin, before } = binOfRank(high, rank - 1);
    const low = new Float64Array(LOW_BINS);
    countLow(low, tauN, bin);
    const within = binOfRank(low, before);
    return { pattern: (bin << LOW_BITS) | within.bin, among: within.before + 1 };
  };
  return [find(ranks[0]), find(ranks[1])];
}

/** Sets to 0 all elements but those that stand between the two, which go as well. */
export function keepBetween(tauN: Float32Array, below: MagnitudeRank, above: MagnitudeRank): void {
  const words = bitsOf(tauN);
  let [equalBelow, equalAbove] = [0, 0];
  for (let i = 0; i < words.length; i++) {
    const magnitude = (words[i] ?? 0) & MAGNITUDE_MASK;
    const isBelow = magnitude < below.pattern || (magnitude === below.pattern && ++equalBelow <= below.among);
    const isAbove = magnitude > above.pattern || (magnitude === above.pattern && ++equalAbove >= above.among);
    if (isBelow || isAbove) words[i] = 0;
  }
}

/** Adds the elements of `tauN` that trimming keeps; a threshold of 0 keeps all. */
export function addKept(sumN: Float64Array, tauN: Float32Array, threshold: number): void {
  const words = bitsOf(tauN);
  for (let i = 0; i < words.length; i++) {
    if (((words[i] ?? 0) & MAGNITUDE_MASK) >= threshold) sumN[i] = (sumN[i] ?? 0) + (tauN[i] ?? 0);
  }
}

/** Sets the elements below the threshold of their task to 0. */
export function trim(taskVectors: readonly Float32Array[], thresholds: readonly number[]): void {
  for (const [task, tauN] of taskVectors.entries()) {
    const threshold = thresholds[task] ?? 0;
    const words = bitsOf(tauN);
    for (let i = 0; i < words.length; i++) {
      if (((words[i] ?? 0) & MAGNITUDE_MASK) < threshold) words[i] = 0;
    }
  }
}

/** The bit patterns of float32 values, sharing their memory. */
function bitsOf(tauN: Float32Array): Uint32Array {
  return new Uint32Array(tauN.buffer, tauN.byteOffset, tauN.length);
}
