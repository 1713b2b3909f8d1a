/**
 * Batches of examples. Adaptation gets them without labels; training with labels says so in the type.
 */
import type { ExampleStore, ExampleValues, LabelledExamples } from "./examples.js";
import { paddedLength } from "./lengths.js";
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

/** Batch `step` of the examples alone, padded to `length` where they have lengths. Throws DataError when the split is empty. */
export function unlabelledBatch(store: ExampleStore, place: BatchPlace, length?: number): UnlabelledBatch {
  const indices = batchIndices({ ...place, size: store.size });
  return { inputs: store.gather(indices, length), count: indices.length };
}

/** Batch `step` with labels; the same examples as `unlabelledBatch`. Throws DataError when the split is empty. */
export function labelledBatch(store: LabelledExamples, place: BatchPlace): LabelledBatch {
  const indices = batchIndices({ ...place, size: store.size });
  const labelsB = Int32Array.from(indices, (index) => store.labels[index] ?? -1);
  return { inputs: store.gather(indices), labelsB, count: indices.length };
}

/** The length to which these examples of stores are padded together, of those that a model has. */
export function commonLength(
  lengths: readonly number[],
  batches: Iterable<{ readonly store: ExampleStore; readonly indices: Uint32Array }>,
): number {
  let needed = 0;
  for (const { store, indices } of batches)
    for (const index of indices) needed = Math.max(needed, neededLength(store, index));
  return paddedLength(lengths, needed);
}

/** What example `index` needs: nothing that is known, the longest. */
function neededLength({ lengths }: ExampleStore, index: number): number {
  return lengths?.[index] ?? Number.POSITIVE_INFINITY;
}

export interface BatchOptions {
  /** Those that the model pads its examples to; absent where all have one size. */
  readonly lengths?: readonly number[] | undefined;
  /** Only the first `limit` examples. */
  readonly limit?: number | undefined;
}

/** Where the examples of a batch stand in their store. */
export interface ExamplePlaces {
  readonly indices: Uint32Array;
  /** What they are padded to; absent where all examples have one size. */
  readonly length?: number;
}

/**
 * Every example once, `batchSize` at a time and then what is left: in order or, where they have lengths, those of each length in order, the shortest first.
 */
export function* examplePlaces(
  store: ExampleStore,
  batchSize: number,
  { lengths, limit }: BatchOptions = {},
): Generator<ExamplePlaces> {
  const all = Uint32Array.from({ length: Math.min(limit ?? store.size, store.size) }, (_, index) => index);
  for (const length of lengths ?? [undefined]) {
    const own =
      length === undefined || lengths === undefined
        ? all
        : all.filter((index) => paddedLength(lengths, neededLength(store, index)) === length);
    for (let first = 0; first < own.length; first += batchSize)
      yield { indices: own.slice(first, first + batchSize), ...(length === undefined ? {} : { length }) };
  }
}

export interface ExampleBatch extends ExamplePlaces {
  readonly inputs: ReadonlyMap<string, ExampleValues>;
}

/**
 * The batches of `examplePlaces`, of exactly `batchSize` examples each: those behind `indices` do not count and repeat the last one, so that every
 * batch has the same shape.
 */
export function* exampleBatches(
  store: ExampleStore,
  batchSize: number,
  options: BatchOptions = {},
): Generator<ExampleBatch> {
  for (const places of examplePlaces(store, batchSize, options))
    yield { ...places, inputs: filledBatch(store, places, batchSize) };
}

/** The inputs of exactly `batchSize` examples: these, and the last of them again and again. */
export function filledBatch(
  store: ExampleStore,
  { indices, length }: ExamplePlaces,
  batchSize: number,
): ReadonlyMap<string, ExampleValues> {
  const filled = Uint32Array.from({ length: batchSize }, (_, row) => indices[Math.min(row, indices.length - 1)] ?? 0);
  return store.gather(filled, length);
}
