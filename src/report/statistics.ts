/**
 * Numbers of a table's row from single results: means over seeds, and a bootstrap interval over images (Efron 1979). Images are drawn with
 * replacement within each task, since the tasks and their sizes are fixed. T tasks, N images of one task.
 */
import { createRng } from "../runtime/rng.js";

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Sample standard deviation; 0 for a single value. */
export function deviation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const average = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - average) ** 2, 0) / (values.length - 1));
}

const RESAMPLES = 1000;
const COVERAGE = 0.95;

/** Interval of 95 % for the mean over tasks of the mean over images, in the units of the values. */
export type Bootstrap = (valuesTN: readonly Float64Array[]) => readonly [number, number];

/**
 * A bootstrap whose `valuesTN` have for each task the value of each image (for accuracy in percent: 100 or 0, or its mean over seeds; for a
 * paired comparison: the difference of two models). All rows of a table are of the same images, so what is drawn is kept: how often
 * each image is in each resample, a byte an image and resample for the numbers of images that were asked for last.
 */
export function createBootstrap(seed = 0): Bootstrap {
  let kept: { readonly sizes: string; readonly countsRTN: readonly (readonly Uint8Array[])[] } | undefined;
  return (valuesTN) => {
    const sizesT = valuesTN.map(({ length }) => length);
    const sizes = sizesT.join();
    if (kept?.sizes !== sizes) kept = { sizes, countsRTN: drawCounts(sizesT, seed) };
    const averages = Float64Array.from(kept.countsRTN, (countsTN) =>
      mean(countsTN.map((countsN, task) => weightedMean(countsN, valuesTN[task]))),
    ).sort();
    const at = (share: number) =>
      averages[Math.min(RESAMPLES - 1, Math.max(0, Math.round(share * (RESAMPLES - 1))))] ?? 0;
    return [at((1 - COVERAGE) / 2), at((1 + COVERAGE) / 2)];
  };
}

/** What one model has over another, in points, with its 95 % interval. */
export interface PairedGain {
  readonly points: number;
  readonly interval: readonly [number, number];
}

/** Of two models judged on the same images: the mean over tasks of the mean difference, image by image; values as for the bootstrap. */
export function pairedGain(
  valuesTN: readonly Float64Array[],
  otherTN: readonly Float64Array[],
  bootstrap: Bootstrap,
): PairedGain {
  const differences = valuesTN.map((values, task) =>
    values.map((value, image) => value - (otherTN[task]?.[image] ?? 0)),
  );
  return { points: mean(differences.map((values) => mean([...values]))), interval: bootstrap(differences) };
}

function drawCounts(sizesT: readonly number[], seed: number): Uint8Array[][] {
  const rng = createRng(seed, "bootstrap");
  return Array.from({ length: RESAMPLES }, () =>
    sizesT.map((size) => {
      const countsN = new Uint8Array(size);
      for (let draw = 0; draw < size; draw++) {
        const image = rng.nextInt(size);
        countsN[image] = (countsN[image] ?? 0) + 1;
      }
      return countsN;
    }),
  );
}

function weightedMean(countsN: Uint8Array, valuesN: Float64Array = new Float64Array()): number {
  let sum = 0;
  for (let image = 0; image < countsN.length; image++) sum += (countsN[image] ?? 0) * (valuesN[image] ?? 0);
  return sum / countsN.length;
}

/** Element by element mean of rows of one length. */
export function meanOf(rows: readonly Float64Array[]): Float64Array {
  return Float64Array.from({ length: rows[0]?.length ?? 0 }, (_, index) => mean(rows.map((row) => row[index] ?? 0)));
}
