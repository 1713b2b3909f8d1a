/**
 * Batches of examples. Adaptation gets them without labels; training with labels says so in the type.
 */
import type { ExampleStore, ExampleValues, LabelledExamples } from "./examples.js";
import { batchIndices } from "./sampler.js";

export interface UnlabelledBatch {
  /** The inputs of a model, by name. */
  readonly inputs: ReadonlyMap<string, ExampleValues>;
  readonly count: number;
}

export interface LabelledBatch extends UnlabelledBatch {
  /** [B], indices into the classes. */
  readonly labelsB: Int32Array;
}

/** Which batch: the same request always gives the same examples. */
export interface BatchPlace {
  readonly seed: number;
  readonly task: string;
  /** Counts from 0. */
  readonly step: number;
  readonly batchSize: number;
}

/** Batch `step` of the examples alone. Throws DataError when the split is empty. */
export function unlabelledBatch(store: ExampleStore, place: BatchPlace): UnlabelledBatch {
  const indices = batchIndices({ ...place, size: store.size });
  return { inputs: store.gather(indices), count: indices.length };
}

/** Batch `step` with labels; the same examples as `unlabelledBatch`. Throws DataError when the split is empty. */
export function labelledBatch(store: LabelledExamples, place: BatchPlace): LabelledBatch {
  const indices = batchIndices({ ...place, size: store.size });
  const labelsB = Int32Array.from(indices, (index) => store.labels[index] ?? -1);
  return { inputs: store.gather(indices), labelsB, count: indices.length };
}

/**
 * Every example once, in order, in batches of exactly `batchSize`: only the first `valid` of a batch count, and the rest repeat the last one, so that
 * every batch has the same shape. `first` is the index of the batch's first example.
 */
export function* exampleBatches(
  store: ExampleStore,
  batchSize: number,
): Generator<{
  readonly inputs: ReadonlyMap<string, ExampleValues>;
  readonly first: number;
  readonly valid: number;
}> {
  for (let first = 0; first < store.size; first += batchSize) {
    const indices = Uint32Array.from({ length: batchSize }, (_, offset) => Math.min(first + offset, store.size - 1));
    yield { inputs: store.gather(indices), first, valid: Math.min(batchSize, store.size - first) };
  }
}
