/** What a step sees: the next batches of every task, one after another, and their targets where the objective has some. */
import { type BatchPlace, commonLength, unlabelledBatch } from "../data/batches.js";
import type { ExampleStore, ExampleValues } from "../data/examples.js";
import { batchIndices } from "../data/sampler.js";
import { assert } from "../errors.js";
import { stepTargets } from "./step-program.js";

/** Targets of every example of a split: probabilities, or features. */
export interface Targets {
  /** Values of one example: classes, or features. */
  readonly width: number;
  /** [N, width]. */
  readonly valuesNC: Float32Array;
}

export interface StepPlace {
  readonly examplesPerTask: number;
  readonly seed: number;
  /** From 0. */
  readonly step: number;
  /** Those that the model pads its examples to; absent where all have one size. */
  readonly lengths?: readonly number[] | undefined;
}

/** The length that all examples of a step are padded to: the smallest that holds each of them. Undefined where all have one size. */
export function stepLength(stores: ReadonlyMap<string, ExampleStore>, place: StepPlace): number | undefined {
  if (place.lengths === undefined) return undefined;
  const batches = [...stores].map(([task, store]) => ({
    store,
    indices: batchIndices({ ...placeOf(place, task), size: store.size }),
  }));
  return commonLength(place.lengths, batches);
}

/** The longest that any step over these examples can have. Undefined where all have one size. */
export function longestLength(
  lengths: readonly number[] | undefined,
  stores: ReadonlyMap<string, ExampleStore>,
): number | undefined {
  if (lengths === undefined) return undefined;
  const whole = [...stores.values()].map((store) => ({
    store,
    indices: Uint32Array.from({ length: store.size }, (_, index) => index),
  }));
  return commonLength(lengths, whole);
}

/** Inputs of the compiled step by name, a pure function of its arguments; targets follow the examples' order. */
export function stepInputs(
  stores: ReadonlyMap<string, ExampleStore>,
  targets: ReadonlyMap<string, Targets>,
  place: StepPlace,
): Map<string, ExampleValues> {
  const { examplesPerTask } = place;
  const length = stepLength(stores, place);
  const inputs = joinedBatches(
    [...stores].map(([task, store]) => unlabelledBatch(store, placeOf(place, task), length).inputs),
  );
  for (const [task, { width, valuesNC }] of targets) {
    const size = valuesNC.length / width;
    const rows = batchIndices({ ...placeOf(place, task), size });
    const own = new Float32Array(examplesPerTask * width);
    for (const [position, row] of rows.entries())
      own.set(valuesNC.subarray(row * width, (row + 1) * width), position * width);
    inputs.set(stepTargets(task), own);
  }
  return inputs;
}

/** The inputs of all batches, one after another. */
export function joinedBatches(batches: readonly ReadonlyMap<string, ExampleValues>[]): Map<string, ExampleValues> {
  const names = [...(batches[0]?.keys() ?? [])];
  return new Map(names.map((name) => [name, joined(batches.map((batch) => batch.get(name)))]));
}

function placeOf({ seed, step, examplesPerTask }: StepPlace, task: string): BatchPlace {
  return { seed, step, task, batchSize: examplesPerTask };
}

/** One after another, in an array of their type. */
function joined(parts: readonly (ExampleValues | undefined)[]): ExampleValues {
  const [first] = parts;
  assert(first !== undefined, "a step without examples");
  const length = parts.reduce((total, part) => total + (part?.length ?? 0), 0);
  const values = emptyOf(first, length);
  let offset = 0;
  for (const part of parts) {
    assert(part?.constructor === first.constructor, "stores of different kinds in one step");
    values.set(part, offset);
    offset += part.length;
  }
  return values;
}

function emptyOf(values: ExampleValues, length: number): ExampleValues {
  if (values instanceof Uint8Array) return new Uint8Array(length);
  return values instanceof Int32Array ? new Int32Array(length) : new Float32Array(length);
}

/** One-hot targets from labels. */
export function labelTargets(labelsN: Int32Array, classes: number): Targets {
  const valuesNC = new Float32Array(labelsN.length * classes);
  for (const [row, label] of labelsN.entries()) valuesNC[row * classes + label] = 1;
  return { width: classes, valuesNC };
}
