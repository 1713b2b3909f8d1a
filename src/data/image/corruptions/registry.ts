/** All corruptions by name, in the order of the paper's table. A new one is a file beside this one and a line here. */
import { createRng } from "../../../runtime/rng.js";
import { type ChosenCorruption, chosenCorruption } from "../../corruption.js";
import type { RgbImage } from "../resample.js";
import { contrast } from "./contrast.js";
import { type Corruption, isSmall } from "./corruption.js";
import { jpegCompression } from "./jpeg-compression.js";
import { motionBlur } from "./motion-blur.js";
import { gaussianNoise, impulseNoise } from "./noise.js";
import { pixelate } from "./pixelate.js";
import { spatter } from "./spatter.js";

export const corruptions: ReadonlyMap<string, Corruption> = new Map(
  [motionBlur, impulseNoise, gaussianNoise, pixelate, spatter, contrast, jpegCompression].map((corruption) => [
    corruption.name,
    corruption,
  ]),
);

/** Raise it when a corruption changes what comes out. */
export const CORRUPTION_VERSION = 1;

/** The image of this place in its split, corrupted; the same whatever else is read. Throws ConfigError for a severity that there is not. */
export async function corrupt(image: RgbImage, chosen: ChosenCorruption, index: number): Promise<RgbImage> {
  const { name, severity, seed } = chosen;
  const corruption = chosenCorruption(corruptions, chosen, "images");
  return corruption.at(severity, isSmall(image))(image, createRng(seed, "corruption", name, severity, index));
}
