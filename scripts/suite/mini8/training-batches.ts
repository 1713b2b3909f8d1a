/**
 * The batches of training: random images of every task, each shifted by a few pixels, and mirrored where that keeps the class. Batch k is a pure function of
 * (seed, name of the training, task, k), so that an interrupted training goes on with the same images. B images of all tasks.
 */
import { createRng, permutation } from "../../../dist/internal.js";
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
  /** Batch `step`, counted from 1: `images` uint8 [B, H, W, C], `labels` [B]. */
  at(step: number): { readonly images: Uint8Array; readonly labels: Int32Array };
}

/** Batches of square images of `side` pixels; each source runs through epochs of its own. */
export function trainingBatches(
  name: string,
  sources: readonly BatchSource[],
  seed: number,
  side: number,
): TrainingBatches {
  const size = side * side * CHANNELS;
  const total = sources.reduce((sum, { images }) => sum + images, 0);
  const orders = new Map<string, { epoch: number; order: Uint32Array }>();
  const epochOrder = (source: BatchSource, epoch: number): Uint32Array => {
    const kept = orders.get(source.name);
    if (kept?.epoch === epoch) return kept.order;
    const order = permutation(source.pixels.count, createRng(seed, name, source.name, "order", epoch));
    orders.set(source.name, { epoch, order });
    return order;
  };
  const at = (step: number) => {
    const images = new Uint8Array(total * size);
    const labels = new Int32Array(total);
    let position = 0;
    for (const source of sources) {
      const { pixels } = source;
      const perEpoch = Math.max(1, Math.floor(pixels.count / source.images));
      const order = epochOrder(source, Math.floor((step - 1) / perEpoch));
      const first = ((step - 1) % perEpoch) * source.images;
      const rng = createRng(seed, name, source.name, "shift", step);
      for (let index = 0; index < source.images; index++, position++) {
        const row = order[(first + index) % pixels.count] ?? 0;
        const shift = { x: rng.nextInt(2 * MAX_SHIFT + 1) - MAX_SHIFT, y: rng.nextInt(2 * MAX_SHIFT + 1) - MAX_SHIFT };
        const target = images.subarray(position * size, (position + 1) * size);
        shiftInto(target, pixels.images.subarray(row * size, (row + 1) * size), side, shift);
        if (source.mirror === true && rng.nextInt(2) === 1) mirror(target, side);
        labels[position] = pixels.labels[row] ?? 0;
      }
    }
    return { images, labels };
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
