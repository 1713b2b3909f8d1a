/** Contrast: every channel drawn towards its mean over the image. */
import type { RgbImage } from "../resample.js";
import { byteOf, type Corruption, strength } from "./corruption.js";

/** mean + share * (level - mean), by channel. */
export function flatten({ height, width, pixelsHWC }: RgbImage, share: number): RgbImage {
  const sums = [0, 0, 0];
  for (const [i, level] of pixelsHWC.entries()) sums[i % 3] = (sums[i % 3] ?? 0) + level / 255;
  const means = sums.map((sum) => sum / (height * width));
  const level = (value: number, i: number): number => (value / 255 - (means[i % 3] ?? 0)) * share + (means[i % 3] ?? 0);
  return { height, width, pixelsHWC: pixelsHWC.map((value, i) => byteOf(level(value, i))) };
}

export const contrast: Corruption = {
  name: "contrast",
  title: "Contrast",
  at: (severity, isSmall) => {
    const share = strength([0.75, 0.5, 0.4, 0.3, 0.15], [0.4, 0.3, 0.2, 0.1, 0.05], severity, isSmall);
    return (image) => flatten(image, share);
  },
};
