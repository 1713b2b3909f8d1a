/**
 * Which examples make batch k: a pure function of (seed, task, k), so that resuming needs no sampler state.
 * A split is walked through in a fresh random order per epoch; batch k takes positions k*B .. (k+1)*B - 1 of
 * the endless concatenation of those orders, so no example is dropped and a batch may cross an epoch's end.
 */
import { assert, DataError } from "../errors.js";
import { createRng, permutation } from "../runtime/rng.js";

export interface BatchRequest {
  readonly seed: number;
  readonly task: string;
  /** Counts from 0. */
  readonly step: number;
  readonly batchSize: number;
  /** Examples in the split. */
  readonly size: number;
}

/** One order per task is in use at a time (two around an epoch's end); a suite has at most some tens of tasks. */
const MAX_KEPT_ORDERS = 64;

/** Orders computed before. Only saves time: what is in it never changes a result. */
const keptOrders = new Map<string, Uint32Array>();

/** Indices [batchSize] into the split, each below `size`. Throws DataError when the split is empty. */
export function batchIndices({ seed, task, step, batchSize, size }: BatchRequest): Uint32Array {
  assert(Number.isInteger(step) && step >= 0, `batch number ${step} is not a whole number >= 0`);
  assert(Number.isInteger(batchSize) && batchSize > 0, `batch size ${batchSize} is not a whole number > 0`);
  if (!(size > 0))
    throw new DataError(`task ${task}: expected at least 1 example to draw batches from, found an empty split`);
  const indices = new Uint32Array(batchSize);
  let position = step * batchSize;
  let filled = 0;
  while (filled < batchSize) {
    const offset = position % size;
    const taken = Math.min(size - offset, batchSize - filled);
    const order = epochOrder(seed, task, Math.floor(position / size), size);
    indices.set(order.subarray(offset, offset + taken), filled);
    filled += taken;
    position += taken;
  }
  return indices;
}

/** Which `limit` of a split's examples are used, ascending: drawn by seed and task; all of them when the split has no more. */
export function drawnIndices(
  size: number,
  limit: number,
  { seed, task }: Pick<BatchRequest, "seed" | "task">,
): Uint32Array {
  return permutation(size, createRng("limit", seed, task))
    .slice(0, limit)
    .sort();
}

/** Which examples are used, ascending, so that each class of `labelsN` has `perClass`, or all that it has: drawn by seed and task. */
export function drawnPerClass(
  labelsN: Int32Array,
  perClass: number,
  { seed, task }: Pick<BatchRequest, "seed" | "task">,
): Uint32Array {
  const counts = new Map<number, number>();
  return permutation(labelsN.length, createRng("limit per class", seed, task))
    .filter((index) => {
      const label = labelsN[index] ?? -1;
      const count = counts.get(label) ?? 0;
      counts.set(label, count + 1);
      return count < perClass;
    })
    .sort();
}

function epochOrder(seed: number, task: string, epoch: number, size: number): Uint32Array {
  const key = JSON.stringify([seed, task, epoch, size]);
  const kept = keptOrders.get(key);
  if (kept !== undefined) return kept;
  const order = permutation(size, createRng("sampler", seed, task, epoch));
  const [oldest] = keptOrders.keys();
  if (keptOrders.size >= MAX_KEPT_ORDERS && oldest !== undefined) keptOrders.delete(oldest);
  keptOrders.set(key, order);
  return order;
}
