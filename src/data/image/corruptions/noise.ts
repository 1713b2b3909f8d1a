/** Gaussian noise (as of low light) and impulse noise (salt and pepper, as of bit errors), on every channel by itself. */
import type { RgbImage } from "../resample.js";
import { byteOf, type Corruption, strength } from "./corruption.js";

/** level + deviation * normal, levels from 0 to 1; `normal(i)` is the noise of byte i. */
export function addNoise({ pixelsHWC, ...size }: RgbImage, deviation: number, normal: (i: number) => number): RgbImage {
  return { ...size, pixelsHWC: pixelsHWC.map((level, i) => byteOf(level / 255 + deviation * normal(i))) };
}

/** Of the bytes for which `drawn(i)` is below `share`, half become 0 and half 255: those above half of it. */
export function addImpulses({ pixelsHWC, ...size }: RgbImage, share: number, drawn: (i: number) => number): RgbImage {
  const flipped = (level: number, draw: number): number => (draw >= share ? level : draw < share / 2 ? 0 : 255);
  return { ...size, pixelsHWC: pixelsHWC.map((level, i) => flipped(level, drawn(i))) };
}

export const gaussianNoise: Corruption = {
  name: "gaussian_noise",
  title: "Gaussian noise",
  at: (severity, isSmall) => {
    const deviation = strength([0.04, 0.06, 0.08, 0.09, 0.1], [0.08, 0.12, 0.18, 0.26, 0.38], severity, isSmall);
    return (image, rng) => addNoise(image, deviation, () => rng.nextNormal());
  },
};

export const impulseNoise: Corruption = {
  name: "impulse_noise",
  title: "Impulse noise",
  at: (severity, isSmall) => {
    const share = strength([0.01, 0.02, 0.03, 0.05, 0.07], [0.03, 0.06, 0.09, 0.17, 0.27], severity, isSmall);
    return (image, rng) => addImpulses(image, share, () => rng.nextFloat());
  },
};
