/**
 * The largest elements of a tensor by magnitude, exactly as many as asked for, in two passes of counting and without sorting: of equal
 * magnitudes at the border the first in the tensor are kept. M models, N elements of a piece.
 */
import type { TensorPiece, TensorToMerge } from "./tensor-method.js";

const MAGNITUDE = 0x7fff_ffff;
const LOW_BITS = 15;
const HIGH_BINS = 1 << 16;
const LOW_BINS = 1 << LOW_BITS;

/** A border between magnitudes: everything above it, and as many of those that equal it. */
interface Border {
  /** Bit pattern of the float32 magnitude. */
  readonly pattern: number;
  readonly equalOnes: number;
}

/**
 * Looks at the tensor and returns what makes a function that sets all but the `countsM` largest elements of each model to 0, in place. Each such
 * function takes all pieces once, in order.
 */
export function trimToLargest(tensor: TensorToMerge, countsM: readonly number[]): () => (piece: TensorPiece) => void {
  if (countsM.every((count) => count >= tensor.size)) return () => () => {};
  const borders = bordersOf(tensor, countsM);
  return () => {
    const left = borders.map(({ equalOnes }) => equalOnes);
    return ({ modelsMN }) => {
      for (const [model, values] of modelsMN.entries()) {
        const count = countsM[model] ?? 0;
        if (count === 0) values.fill(0);
        if (count === 0 || count >= tensor.size) continue;
        left[model] = trim(patternsOf(values), borders[model]?.pattern ?? 0, left[model] ?? 0);
      }
    };
  };
}

/** Returns how many of the elements at the border may still be kept. */
function trim(patterns: Uint32Array, border: number, equalOnes: number): number {
  let left = equalOnes;
  for (let i = 0; i < patterns.length; i++) {
    const magnitude = (patterns[i] ?? 0) & MAGNITUDE;
    if (magnitude > border) continue;
    if (magnitude === border && left > 0) left -= 1;
    else patterns[i] = 0;
  }
  return left;
}

function bordersOf(tensor: TensorToMerge, countsM: readonly number[]): Border[] {
  const high = countsM.map(() => new Float64Array(HIGH_BINS));
  for (const { modelsMN } of tensor.stream())
    for (const [model, values] of modelsMN.entries()) countHigh(high[model] ?? new Float64Array(), patternsOf(values));
  const found = high.map((counts, model) => binFromAbove(counts, countsM[model] ?? 0));
  const low = countsM.map(() => new Float64Array(LOW_BINS));
  for (const { modelsMN } of tensor.stream())
    for (const [model, values] of modelsMN.entries())
      countLow(low[model] ?? new Float64Array(), patternsOf(values), found[model]?.bin ?? 0);
  return found.map(({ bin, left }, model) => {
    const within = binFromAbove(low[model] ?? new Float64Array(), left);
    return { pattern: (bin << LOW_BITS) | within.bin, equalOnes: within.left };
  });
}

function countHigh(counts: Float64Array, patterns: Uint32Array): void {
  for (let i = 0; i < patterns.length; i++) {
    const bin = ((patterns[i] ?? 0) & MAGNITUDE) >>> LOW_BITS;
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
}

function countLow(counts: Float64Array, patterns: Uint32Array, highBin: number): void {
  for (let i = 0; i < patterns.length; i++) {
    const magnitude = (patterns[i] ?? 0) & MAGNITUDE;
    if (magnitude >>> LOW_BITS !== highBin) continue;
    const bin = magnitude & (LOW_BINS - 1);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
}

/** The bin that the `count`-th largest element is in, and how many of that bin are among the `count`. */
function binFromAbove(counts: Float64Array, count: number): { bin: number; left: number } {
  let left = count;
  for (let bin = counts.length - 1; bin >= 0; bin--) {
    const inBin = counts[bin] ?? 0;
    if (left <= inBin) return { bin, left };
    left -= inBin;
  }
  return { bin: 0, left };
}

function patternsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}
