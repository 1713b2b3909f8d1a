/**
 * What a corruption of images is. Kinds and strengths are those of Hendrycks & Dietterich 2019 (arXiv:1903.12261), ImageNet-C for photographs and CIFAR-10-C for
 * small pictures, as the AdaMerging paper uses them. They act on decoded images, before anything is resized. H, W, C height, width, channels.
 */
import type { Rng } from "../../../runtime/rng.js";
import type { NamedCorruption } from "../../corruption.js";
import type { RgbImage } from "../resample.js";

/** A corruption at one strength; everything random comes from `rng`. */
export type Corrupt = (image: RgbImage, rng: Rng) => RgbImage | Promise<RgbImage>;

export interface Corruption extends NamedCorruption {
  /** The function for a severity from 1 (mild) to 5, for images of this size. */
  readonly at: (severity: number, isSmall: boolean) => Corrupt;
}

/** Images whose shorter side is at most this get the strengths of CIFAR-10-C, all others those of ImageNet-C. */
const SMALL_SIDE = 64;

export function isSmall({ height, width }: RgbImage): boolean {
  return Math.min(height, width) <= SMALL_SIDE;
}

/** The strength of a severity, 1 to 5. */
export function strength<T>(small: readonly T[], large: readonly T[], severity: number, isSmall: boolean): T {
  const found = (isSmall ? small : large)[severity - 1];
  if (found === undefined) throw new RangeError(`no severity ${severity}`);
  return found;
}

/** A level from 0 to 1 as a byte: clipped, and cut as NumPy's uint8 is. */
export function byteOf(level: number): number {
  return Math.trunc(Math.min(Math.max(level, 0), 1) * 255);
}
