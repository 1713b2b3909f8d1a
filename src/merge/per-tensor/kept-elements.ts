/**
 * The largest elements of a tensor by magnitude, exactly as many as asked for and without sorting: one pass counts how often each upper half of
 * a magnitude's bits occurs, a second how often each lower half does within the upper half that the border has. Of equal magnitudes at the border
 * the first in the tensor are kept. M models, N elements of a piece.
 */
import type { TensorPiece, TensorToMerge } from "./tensor-method.js";

/** Halves of the 31 bits of a magnitude. */
const LOWER_BITS = 15;
const UPPER_BINS = 1 << 16;
const LOWER_BINS = 1 << LOWER_BITS;

/** What `trimToLargest` takes of the kernels' memory for each model. */
export const BYTES_TO_TRIM = (UPPER_BINS + LOWER_BINS) * Float64Array.BYTES_PER_ELEMENT;

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
  const bordersM = bordersOf(tensor, countsM);
  return () => {
    const leftM = bordersM.map(({ equalOnes }) => equalOnes);
    return ({ modelsMN }) => {
      for (const [model, values] of modelsMN.entries()) {
        const [count = 0, left = 0] = [countsM[model], leftM[model]];
        if (count === 0) values.fill(0);
        if (count === 0 || count >= tensor.size) continue;
        // The kernel counts in 32 bits; more than the piece has are not kept in it.
        const here = Math.min(left, values.length);
        leftM[model] = left - here + tensor.kernels.keepLargest(values, bordersM[model]?.pattern ?? 0, here);
      }
    };
  };
}

function bordersOf(tensor: TensorToMerge, countsM: readonly number[]): Border[] {
  const { kernels } = tensor;
  const upperM = countsM.map(() => kernels.memory.doubles(UPPER_BINS));
  for (const { modelsMN } of tensor.stream())
    for (const [model, table] of upperM.entries()) kernels.countUpper(modelsMN[model] ?? new Float32Array(), table);
  const foundM = upperM.map((table, model) => binFromAbove(table, countsM[model] ?? 0));
  const lowerM = countsM.map(() => kernels.memory.doubles(LOWER_BINS));
  for (const { modelsMN } of tensor.stream())
    for (const [model, table] of lowerM.entries())
      kernels.countLower(modelsMN[model] ?? new Float32Array(), foundM[model]?.bin ?? 0, table);
  return foundM.map(({ bin, left }, model) => {
    const within = binFromAbove(lowerM[model] ?? new Float64Array(), left);
    return { pattern: (bin << LOWER_BITS) | within.bin, equalOnes: within.left };
  });
}

/** The bin that the `count`-th largest element is in, and how many of that bin are among the `count`. */
function binFromAbove(table: Float64Array, count: number): { bin: number; left: number } {
  let left = count;
  for (let bin = table.length - 1; bin >= 0; bin--) {
    const inBin = table[bin] ?? 0;
    if (left <= inBin) return { bin, left };
    left -= inBin;
  }
  return { bin: 0, left };
}
