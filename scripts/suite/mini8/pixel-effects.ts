/**
 * What a camera does to a picture: light, blur, noise, low resolution. On uint8 RGB of the size of the suite's images, H x W x 3, as
 * float values while effects are chained. Used for tasks whose classes are drawn and whose images should look photographed.
 */
import type { Rng } from "../../../src/runtime/rng.js";
import { IMAGE_SIDE } from "./labelled-images.js";

/** Values of an image, 0..255 but not clamped, [H * W * 3]. */
export type Levels = Float64Array;

export const toLevels = (pixelsHWC: Uint8Array): Levels => Float64Array.from(pixelsHWC);

/** Rounds and clamps. */
export const toPixels = (levels: Levels): Uint8Array =>
  Uint8Array.from(levels, (level) => Math.min(255, Math.max(0, Math.round(level))));

/** Gain and gamma for the whole picture, a cast of each colour, and a gain that changes along a random direction. */
export function relight(levels: Levels, rng: Rng, strength: number): void {
  const gamma = Math.exp(strength * 0.5 * (2 * rng.nextFloat() - 1));
  const gain = 1 - strength * 0.5 * rng.nextFloat();
  const casts = [0, 1, 2].map(() => 1 + strength * 0.15 * (2 * rng.nextFloat() - 1));
  const angle = 2 * Math.PI * rng.nextFloat();
  const slope = (strength * 0.4 * rng.nextFloat()) / IMAGE_SIDE;
  for (let at = 0; at < levels.length; at++) {
    const pixel = Math.floor(at / 3);
    const [x, y] = [(pixel % IMAGE_SIDE) - IMAGE_SIDE / 2, Math.floor(pixel / IMAGE_SIDE) - IMAGE_SIDE / 2];
    const light = gain * (casts[at % 3] ?? 1) * (1 + slope * (x * Math.cos(angle) + y * Math.sin(angle)));
    levels[at] = 255 * Math.max(0, (levels[at] ?? 0) / 255) ** gamma * light;
  }
}

/** A shadow with a straight edge through the picture: one side is darker. */
export function shade(levels: Levels, rng: Rng): void {
  const angle = 2 * Math.PI * rng.nextFloat();
  const offset = (rng.nextFloat() - 0.5) * 0.8 * IMAGE_SIDE;
  const darkness = 0.45 + 0.35 * rng.nextFloat();
  for (let at = 0; at < levels.length; at++) {
    const pixel = Math.floor(at / 3);
    const [x, y] = [(pixel % IMAGE_SIDE) - IMAGE_SIDE / 2, Math.floor(pixel / IMAGE_SIDE) - IMAGE_SIDE / 2];
    if (x * Math.cos(angle) + y * Math.sin(angle) > offset) levels[at] = (levels[at] ?? 0) * darkness;
  }
}

/** Averages `steps` copies of the picture, each moved by a pixel part along (dx, dy): a moving or an unsharp camera. */
export function blur(levels: Levels, offsets: readonly { readonly x: number; readonly y: number }[]): void {
  const source = levels.slice();
  const inside = (index: number): number => Math.min(Math.max(index, 0), IMAGE_SIDE - 1);
  for (let y = 0; y < IMAGE_SIDE; y++)
    for (let x = 0; x < IMAGE_SIDE; x++)
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (const offset of offsets) {
          const [row, column] = [inside(Math.round(y + offset.y)), inside(Math.round(x + offset.x))];
          sum += source[(row * IMAGE_SIDE + column) * 3 + channel] ?? 0;
        }
        levels[(y * IMAGE_SIDE + x) * 3 + channel] = sum / offsets.length;
      }
}

/** Offsets of an unsharp lens: the nine neighbours, the middle counted more often the sharper. */
export function softOffsets(sharpness: number): { x: number; y: number }[] {
  const around = [-1, 0, 1].flatMap((y) => [-1, 0, 1].map((x) => ({ x, y })));
  return [...around, ...Array.from({ length: sharpness }, () => ({ x: 0, y: 0 }))];
}

/** Offsets of a camera that moves `length` pixels in a random direction. */
export function motionOffsets(length: number, rng: Rng): { x: number; y: number }[] {
  const angle = Math.PI * rng.nextFloat();
  const steps = Math.max(2, Math.round(length) + 1);
  return Array.from({ length: steps }, (_, step) => {
    const along = (step / (steps - 1) - 0.5) * length;
    return { x: along * Math.cos(angle), y: along * Math.sin(angle) };
  });
}

/** Independent normal noise of the given deviation in levels. */
export function addNoise(levels: Levels, deviation: number, rng: Rng): void {
  for (let at = 0; at < levels.length; at++) levels[at] = (levels[at] ?? 0) + deviation * rng.nextNormal();
}
