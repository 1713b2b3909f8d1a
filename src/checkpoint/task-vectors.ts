/**
 * Task vectors: expert minus origin (the base, or the mean of the experts), in float32 after decoding, and the contract of what may process them before
 * they are bundled (TIES trimming, DARE, ...). The processings themselves are merge methods, in merge/.
 */
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";

/** The task vectors of one tensor: K arrays of N elements, in the order of the tasks. */
export interface TensorTaskVectors {
  readonly name: string;
  readonly shape: readonly number[];
  readonly taskVectors: Float32Array[];
}

/** Changes the task vectors of one tensor in place. */
export type ProcessTaskVectors = (name: string, taskVectors: Float32Array[], shape: readonly number[]) => void;

export interface TaskVectorProcessing {
  /** Names the processing and its parameters; part of the bundle's fingerprint. */
  readonly id: string;
  /** Looks at the whole model, as often as it calls `stream`, and returns the change for each tensor. */
  prepare(stream: () => AsyncIterable<TensorTaskVectors>): Promise<ProcessTaskVectors>;
}

/**
 * Writes expert - origin [N] into `tauN`. Throws CheckpointError that names `where` (file, tensor, what was subtracted) and the index if a
 * difference is not finite; the inputs must be finite themselves.
 */
export function subtractInto(tauN: Float32Array, expertN: Float32Array, originN: Float32Array, where: string): void {
  for (let i = 0; i < tauN.length; i++) tauN[i] = (expertN[i] ?? 0) - (originN[i] ?? 0);
  requireFinite(tauN, where);
}

/** Throws CheckpointError with the first index of `values` that is NaN or infinite. */
export function requireFinite(values: Float32Array, where: string): void {
  for (let i = 0; i < values.length; i++) {
    // x - x is 0 for finite numbers and NaN for all others: one test in a loop over the whole model.
    const value = values[i] ?? 0;
    if (value - value !== 0) {
      throw new CheckpointError(
        `${where}: expected finite values, found ${value} at index ${i}. Use another checkpoint.`,
      );
    }
  }
}

/** File and tensor as errors show them. */
export function tensorPlace(path: string, name: string): string {
  return `${path}: tensor ${quote(name)}`;
}
