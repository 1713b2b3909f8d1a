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

/**
 * Interval of 95 % for the mean over tasks of the mean over images, in the units of the values. `valuesTN` has for each task the value of each
 * image (for accuracy in percent: 100 or 0, or its mean over seeds; for a paired comparison: the difference of two models).
 */
export function bootstrapInterval(valuesTN: readonly Float64Array[], seed = 0): readonly [number, number] {
  const rng = createRng(seed, "bootstrap");
  const averages = Float64Array.from({ length: RESAMPLES }, () =>
    mean(
      valuesTN.map((valuesN) => {
        let sum = 0;
        for (let draw = 0; draw < valuesN.length; draw++) sum += valuesN[rng.nextInt(valuesN.length)] ?? 0;
        return sum / valuesN.length;
      }),
    ),
  ).sort();
  const at = (share: number) =>
    averages[Math.min(RESAMPLES - 1, Math.max(0, Math.round(share * (RESAMPLES - 1))))] ?? 0;
  return [at((1 - COVERAGE) / 2), at((1 + COVERAGE) / 2)];
}

/** Element by element mean of rows of one length. */
export function meanOf(rows: readonly Float64Array[]): Float64Array {
  return Float64Array.from({ length: rows[0]?.length ?? 0 }, (_, index) => mean(rows.map((row) => row[index] ?? 0)));
}
