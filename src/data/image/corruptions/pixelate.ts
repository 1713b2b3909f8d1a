/** Pixelation: shrunk by Pillow's box filter and made large again by it. */
import { type RgbImage, resample } from "../resample.js";
import { type Corruption, strength } from "./corruption.js";

/** Through an image of `share` of the width and of the height. */
export function throughSmaller(image: RgbImage, share: number): RgbImage {
  const { height, width } = image;
  const small = { height: Math.max(1, Math.trunc(height * share)), width: Math.max(1, Math.trunc(width * share)) };
  const shrunk = { ...small, pixelsHWC: resample(image, small, "box", { top: 0, left: 0, ...small }) };
  return { height, width, pixelsHWC: resample(shrunk, { height, width }, "box", { top: 0, left: 0, height, width }) };
}

export const pixelate: Corruption = {
  name: "pixelate",
  title: "Pixelation",
  at: (severity, isSmall) => {
    const share = strength([0.95, 0.9, 0.85, 0.75, 0.65], [0.6, 0.5, 0.4, 0.3, 0.25], severity, isSmall);
    return (image) => throughSmaller(image, share);
  },
};
