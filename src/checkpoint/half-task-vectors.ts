/**
 * Task vectors in float16: half the memory, and 11 bits where fine-tuning itself is noisier. Their values lie around 1e-4, near the
 * lower end of float16 (numbers below 6e-5 lose bits, below 3e-8 all of them), so each task's part of a tensor is stored divided by a
 * power of two that brings its largest value just below 2^15; multiplying with a power of two is exact. K tasks, N elements.
 */
import { CheckpointError } from "../errors.js";
import { decodeFloat16 } from "./float16.js";

/** Exponent of the largest stored value: float16 ends at 65,504, just below 2^16. */
const TOP_EXPONENT = 14;
/** The smallest power of two of float32. Task vectors of denormals alone are multiples of it, at most 2^14 of them. */
const LEAST_EXPONENT = -149;
/** Of the largest value: from 2^127 on, rounding to the 11 bits of float16 can end above float32. */
const MOST_EXPONENT = 126;

/**
 * For each task the power of two that its stored values are multiplied with; 1 where all are zero. tauKN [K, N] -> [K]. Throws CheckpointError
 * that begins with `where` for values of 2^127 and more.
 */
export function taskVectorScales(tauKN: Float32Array, tasks: number, where: string): Float32Array {
  const size = tauKN.length / tasks;
  return Float32Array.from({ length: tasks }, (_, task) => {
    let largest = 0;
    for (const value of tauKN.subarray(task * size, (task + 1) * size)) largest = Math.max(largest, Math.abs(value));
    if (largest >= 2 ** (MOST_EXPONENT + 1)) {
      throw new CheckpointError(
        `${where}: expected task vectors below 2^127 to store as float16, found ${largest}. Set task_vectors.dtype=float32, or check the expert.`,
      );
    }
    return largest === 0 ? 1 : 2 ** Math.max(LEAST_EXPONENT, Math.floor(Math.log2(largest)) - TOP_EXPONENT);
  });
}

/** tauKN [K, N] divided by the scales [K], in place; what is encoded as float16. */
export function divideByScales(tauKN: Float32Array, scalesK: Float32Array): Float32Array {
  const size = tauKN.length / scalesK.length;
  for (const [task, scale] of scalesK.entries())
    for (let index = task * size; index < (task + 1) * size; index++) tauKN[index] = (tauKN[index] ?? 0) / scale;
  return tauKN;
}

/** float32 values of stored bits [N]. */
export function widenTaskVector(bits: Uint16Array, scale: number): Float32Array {
  const values = decodeFloat16(bits);
  for (let index = 0; index < values.length; index++) values[index] = (values[index] ?? 0) * scale;
  return values;
}
