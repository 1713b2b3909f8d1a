/** Weights that differ from tensor to tensor, and what a merge of experts with them is, in float64. */
import type { Checkpoint } from "../../src/checkpoint/checkpoint.js";
import { openExpert } from "../../src/model/open-models.js";
import { randomArray } from "./random.js";

/** Of tensor and expert, from -0.2 to 0.8; the second of three is left out of every fifth tensor. */
export function weightAt(name: string, expert: number): number {
  const seed = [...name].reduce((sum, letter) => (31 * sum + letter.charCodeAt(0)) % 9973, 7);
  if (expert === 1 && seed % 5 === 0) return 0;
  return randomArray(1, seed + 1000 * expert, -0.2, 0.8)[0] ?? 0;
}

/** Every tensor that the merge changes. */
export async function weightedSums(base: Checkpoint, paths: readonly string[]): Promise<Map<string, Float64Array>> {
  const sums = new Map<string, Float64Array>();
  for (const [expert, path] of paths.entries()) {
    const opened = await openExpert(path, base);
    for (const name of opened.tensors.keys()) {
      const weight = weightAt(name, expert);
      if (weight === 0) continue;
      const [before, after] = [await base.readFloat32(name), await opened.readFloat32(name)];
      const sum = sums.get(name) ?? Float64Array.from(before);
      sums.set(name, sum);
      for (const [index, value] of after.entries())
        sum[index] = (sum[index] ?? 0) + weight * (value - (before[index] ?? 0));
    }
  }
  return sums;
}
