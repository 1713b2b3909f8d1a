/**
 * Motion blur: the mean along a line that begins at each pixel, weighted by half a Gaussian, at a random angle. Source: ImageMagick's MotionBlurImage, which the
 * published corruptions call (kernel and offsets); outside the image its edge goes on.
 */
import type { RgbImage } from "../resample.js";
import { type Corruption, strength } from "./corruption.js";

/** Degrees to either side. */
const MOST_ANGLE = 45;

/** `radius` pixels on either side of the kernel's middle, of which the half that lies ahead is used; `angle` in degrees. */
export function blurAlong(
  { height, width, pixelsHWC }: RgbImage,
  radius: number,
  sigma: number,
  angle: number,
): RgbImage {
  const length = 2 * radius + 1;
  const kernel = Array.from({ length }, (_, i) => Math.exp(-(i * i) / (2 * sigma * sigma)));
  const total = kernel.reduce((sum, weight) => sum + weight, 0);
  const radians = (angle * Math.PI) / 180;
  const [across, down] = [length * Math.sin(radians), length * Math.cos(radians)];
  const steps = kernel.map((_, i) => ({
    x: Math.ceil((i * down) / Math.hypot(across, down) - 0.5),
    y: Math.ceil((i * across) / Math.hypot(across, down) - 0.5),
  }));
  const inside = (value: number, size: number): number => Math.min(Math.max(value, 0), size - 1);
  const blurred = new Uint8Array(pixelsHWC.length);
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++)
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (const [i, { x, y }] of steps.entries()) {
          const at = inside(row + y, height) * width + inside(column + x, width);
          sum += (kernel[i] ?? 0) * (pixelsHWC[3 * at + channel] ?? 0);
        }
        blurred[3 * (row * width + column) + channel] = Math.round(sum / total);
      }
  return { height, width, pixelsHWC: blurred };
}

/** Radius and sigma by severity. */
type Kernel = readonly [number, number];
const SMALL: readonly Kernel[] = [
  [6, 1],
  [6, 1.5],
  [6, 2],
  [8, 2],
  [9, 2.5],
];
const LARGE: readonly Kernel[] = [
  [10, 3],
  [15, 5],
  [15, 8],
  [15, 12],
  [20, 15],
];

export const motionBlur: Corruption = {
  name: "motion_blur",
  title: "Motion blur",
  at: (severity, isSmall) => {
    const [radius, sigma] = strength(SMALL, LARGE, severity, isSmall);
    return (image, rng) => blurAlong(image, radius, sigma, MOST_ANGLE * (2 * rng.nextFloat() - 1));
  },
};
