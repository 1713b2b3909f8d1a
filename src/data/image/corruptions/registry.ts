/** All corruptions by name, in the order of the paper's table. A new one is a file beside this one and a line here. */
import { ConfigError } from "../../../errors.js";
import { createRng } from "../../../runtime/rng.js";
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

export interface ChosenCorruption {
  readonly name: string;
  /** 1 to 5. */
  readonly severity: number;
  readonly seed: number;
}

/** The image of this place in its split, corrupted; the same whatever else is read. Throws ConfigError for a severity that there is not. */
export async function corrupt(
  image: RgbImage,
  { name, severity, seed }: ChosenCorruption,
  index: number,
): Promise<RgbImage> {
  const corruption = corruptions.get(name);
  if (corruption === undefined) throw new RangeError(`no corruption ${name}`);
  requireSeverity(corruption, severity);
  return corruption.at(severity, isSmall(image))(image, createRng(seed, "corruption", name, severity, index));
}

function requireSeverity({ name, severities = [1, 2, 3, 4, 5] }: Corruption, severity: number): void {
  if (!severities.includes(severity))
    throw new ConfigError(
      `data.corruption_severity: expected one of ${severities.join(", ")} with corruption ${name}, found ${severity}`,
    );
}
