/**
 * The batches of training: random images of a task, each shifted by a few pixels, and mirrored where that keeps the
 * class. Batch k is a pure function of (seed, name of the training, task, k), so that an interrupted training goes on
 * with the same images. B images.
 */
import { createRng, type DrawnExamples, permutation } from "../../../dist/internal.js";
import type { RawPixels } from "./raw-pixels.js";

/** Largest random shift of an image, in pixels. */
const MAX_SHIFT = 2;
const CHANNELS = 3;

export interface BatchSource {
  readonly name: string;
  readonly pixels: RawPixels;
  /** Images of this source in every batch. */
  readonly images: number;
  /** Half of the images mirrored left to right: where a mirror image has the same class. */
  readonly mirror?: boolean;
}

export interface TrainingBatches {
  /** Batch `step`, counted from 1: `images` uint8 [B, H, W, C], and their labels. */
  at(step: number): DrawnExamples;
}

/** Batches of square images of `side` pixels; the source runs through epochs. */
export function trainingBatches(
  training: string,
  { name, pixels, images: count, mirror: isMirrored = false }: BatchSource,
  seed: number,
  side: number,
): TrainingBatches {
  const size = side * side * CHANNELS;
  const perEpoch = Math.max(1, Math.floor(pixels.count / count));
  let kept: { epoch: number; order: Uint32Array } | undefined;
  const epochOrder = (epoch: number): Uint32Array => {
    if (kept?.epoch !== epoch)
      kept = { epoch, order: permutation(pixels.count, createRng(seed, training, name, "order", epoch)) };
    return kept.order;
  };
  const at = (step: number): DrawnExamples => {
    const images = new Uint8Array(count * size);
    const labels = new Int32Array(count);
    const order = epochOrder(Math.floor((step - 1) / perEpoch));
    const first = ((step - 1) % perEpoch) * count;
    const rng = createRng(seed, training, name, "shift", step);
    for (let index = 0; index < count; index++) {
      const row = order[(first + index) % pixels.count] ?? 0;
      const shift = { x: rng.nextInt(2 * MAX_SHIFT + 1) - MAX_SHIFT, y: rng.nextInt(2 * MAX_SHIFT + 1) - MAX_SHIFT };
      const target = images.subarray(index * size, (index + 1) * size);
      shiftInto(target, pixels.images.subarray(row * size, (row + 1) * size), side, shift);
      if (isMirrored && rng.nextInt(2) === 1) mirror(target, side);
      labels[index] = pixels.labels[row] ?? 0;
    }
    return { examples: new Map([["images", images]]), labels };
  };
  return { at };
}

/** Swaps the columns of an image in place. */
function mirror(image: Uint8Array, side: number): void {
  for (let row = 0; row < side; row++)
    for (let left = 0; left < side / 2; left++)
      for (let channel = 0; channel < CHANNELS; channel++) {
        const a = (row * side + left) * CHANNELS + channel;
        const b = (row * side + side - 1 - left) * CHANNELS + channel;
        const kept = image[a] ?? 0;
        image[a] = image[b] ?? 0;
        image[b] = kept;
      }
}

/** Copies an image moved by `shift`, its edge repeated; row by row, because this runs for every image of every step. */
function shiftInto(target: Uint8Array, source: Uint8Array, side: number, shift: { x: number; y: number }): void {
  const inside = (index: number): number => Math.min(Math.max(index, 0), side - 1);
  const [from, to] = [Math.max(0, shift.x), Math.min(side, side + shift.x)];
  for (let row = 0; row < side; row++) {
    const line = inside(row + shift.y) * side * CHANNELS;
    const start = row * side * CHANNELS;
    target.set(source.subarray(line + from * CHANNELS, line + to * CHANNELS), start + (from - shift.x) * CHANNELS);
    for (let column = 0; column < from - shift.x; column++)
      target.set(source.subarray(line, line + CHANNELS), start + column * CHANNELS);
    for (let column = to - shift.x; column < side; column++)
      target.set(source.subarray(line + (side - 1) * CHANNELS, line + side * CHANNELS), start + column * CHANNELS);
  }
}
