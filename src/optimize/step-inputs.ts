/** What a step sees: the next batches of every task, one after another, and their targets where the objective has some. */
import { unlabelledBatch } from "../data/batches.js";
import type { UnlabelledPixels } from "../data/pixels.js";
import { batchIndices } from "../data/sampler.js";
import { STEP_INPUT_IMAGES, stepTargets } from "./step-program.js";

/** Target probabilities of every image of a split. */
export interface Targets {
  readonly classes: number;
  /** [N, C]. */
  readonly valuesNC: Float32Array;
}

export interface StepPlace {
  readonly imagesPerTask: number;
  readonly seed: number;
  /** From 0. */
  readonly step: number;
}

/** Inputs of the compiled step by name, a pure function of its arguments; targets follow the images' order. */
export function stepInputs(
  pixels: ReadonlyMap<string, UnlabelledPixels>,
  targets: ReadonlyMap<string, Targets>,
  { imagesPerTask, seed, step }: StepPlace,
): Map<string, Float32Array | Uint8Array> {
  const place = { seed, step, batchSize: imagesPerTask };
  const batches = [...pixels].map(([task, store]) => unlabelledBatch(store, { ...place, task }).imagesBHWC);
  const images = new Uint8Array(batches.reduce((total, batch) => total + batch.length, 0));
  let offset = 0;
  for (const batch of batches) {
    images.set(batch, offset);
    offset += batch.length;
  }
  const inputs = new Map<string, Float32Array | Uint8Array>([[STEP_INPUT_IMAGES, images]]);
  for (const [task, { classes, valuesNC }] of targets) {
    const size = valuesNC.length / classes;
    const rows = batchIndices({ ...place, task, size });
    const own = new Float32Array(imagesPerTask * classes);
    for (const [position, row] of rows.entries())
      own.set(valuesNC.subarray(row * classes, (row + 1) * classes), position * classes);
    inputs.set(stepTargets(task), own);
  }
  return inputs;
}

/** One-hot targets from labels. */
export function labelTargets(labelsN: Int32Array, classes: number): Targets {
  const valuesNC = new Float32Array(labelsN.length * classes);
  for (const [row, label] of labelsN.entries()) valuesNC[row * classes + label] = 1;
  return { classes, valuesNC };
}
