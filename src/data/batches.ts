/**
 * Batches of images. Adaptation gets `UnlabelledBatch`, which has no labels in it; training and evaluation with
 * labels say so in the type. Batches are copies: a view would drag the whole split along when it is sent to the
 * engine's worker. B batch, H, W, C height, width, channels.
 */
import { imageAt } from "./image-blocks.js";
import type { LabelledPixels, UnlabelledPixels } from "./pixels.js";
import { batchIndices } from "./sampler.js";

export interface UnlabelledBatch {
  /** uint8 [B, H, W, C]. */
  readonly imagesBHWC: Uint8Array;
  /** B. */
  readonly count: number;
}

export interface LabelledBatch {
  readonly imagesBHWC: Uint8Array;
  /** [B], indices into the classes. */
  readonly labelsB: Int32Array;
  readonly count: number;
}

/** Which batch: the same request always gives the same images. */
export interface BatchPlace {
  readonly seed: number;
  readonly task: string;
  /** Counts from 0. */
  readonly step: number;
  readonly batchSize: number;
}

/** Batch `step` of the images alone. Throws DataError when the split is empty. */
export function unlabelledBatch(pixels: UnlabelledPixels, place: BatchPlace): UnlabelledBatch {
  const indices = batchIndices({ ...place, size: pixels.size });
  return { imagesBHWC: gatherImages(pixels, indices), count: indices.length };
}

/** Batch `step` with labels; the same images as `unlabelledBatch`. Throws DataError when the split is empty. */
export function labelledBatch(pixels: LabelledPixels, place: BatchPlace): LabelledBatch {
  return gatherLabelled(pixels, batchIndices({ ...place, size: pixels.size }));
}

/**
 * Every image once, in order, in batches of exactly `batchSize`: only the first `valid` of a batch count, and the rest repeat the last one, so that
 * every batch has the same shape. `first` is the index of the batch's first image.
 */
export function* imageBatches(
  pixels: UnlabelledPixels,
  batchSize: number,
): Generator<{ readonly imagesBHWC: Uint8Array; readonly first: number; readonly valid: number }> {
  for (let first = 0; first < pixels.size; first += batchSize) {
    const indices = Uint32Array.from({ length: batchSize }, (_, offset) => Math.min(first + offset, pixels.size - 1));
    yield { imagesBHWC: gatherImages(pixels, indices), first, valid: Math.min(batchSize, pixels.size - first) };
  }
}

function gatherLabelled(pixels: LabelledPixels, indices: Uint32Array): LabelledBatch {
  const labelsB = Int32Array.from(indices, (index) => pixels.labels[index] ?? -1);
  return { imagesBHWC: gatherImages(pixels, indices), labelsB, count: indices.length };
}

function gatherImages({ pixels, height, width, channels }: UnlabelledPixels, indices: Uint32Array): Uint8Array {
  const imageBytes = height * width * channels;
  const imagesBHWC = new Uint8Array(indices.length * imageBytes);
  for (const [position, index] of indices.entries()) imagesBHWC.set(imageAt(pixels, index), position * imageBytes);
  return imagesBHWC;
}
