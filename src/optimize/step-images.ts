/** The images that a step sees: the next batches of every task, without labels, one task after another. */
import { unlabelledBatch } from "../data/batches.js";
import type { UnlabelledPixels } from "../data/pixels.js";

/** uint8 [sum B, H, W, C] of step `step` (from 0), a pure function of its arguments. */
export function stepImages(
  pixels: ReadonlyMap<string, UnlabelledPixels>,
  { imagesPerTask, seed, step }: { readonly imagesPerTask: number; readonly seed: number; readonly step: number },
): Uint8Array {
  const batches = [...pixels].map(
    ([task, store]) => unlabelledBatch(store, { seed, task, step, batchSize: imagesPerTask }).imagesBHWC,
  );
  const all = new Uint8Array(batches.reduce((total, batch) => total + batch.length, 0));
  let offset = 0;
  for (const batch of batches) {
    all.set(batch, offset);
    offset += batch.length;
  }
  return all;
}
