/**
 * Dropout of LoRA: in a step each value of a layer's input is left out of what its factors are given with a chance, in
 * every layer by itself, as peft does it (tuners/lora/layer.py: lora_B(lora_A(dropout(x)))). What is left out is a pure
 * function of seed, matrix, step, task and place in the task's batch: a training that resumes leaves out the same, and so
 * does one that computes its batches in parts. B examples, I inputs.
 */
import type { TensorSpec } from "../../engine/program.js";
import { sizeOf } from "../../engine/program.js";
import { frozenByPatterns } from "../../merge/frozen.js";
import { createRng } from "../../runtime/rng.js";
import { layerInputs } from "../layer-inputs.js";
import { keptInput, type LoraShape } from "../lora-weights.js";
import { loraShape } from "./lora.js";
import type { FineTuning } from "./options.js";

/** A value is kept by the comparison of half a random word: dropout is rounded to 1 / 65536. */
const HALF = 2 ** 16;

export interface Dropout {
  /** Of the inputs of a pass whose examples are padded to `length`, by the names of `keptInput`. */
  specs(length: number | undefined): ReadonlyMap<string, TensorSpec>;
  /** 1 for what is kept in step `step` (from 1) of the whole batch, else 0, by the same names. */
  kept(step: number, length: number | undefined): ReadonlyMap<string, Uint8Array>;
}

/** Undefined where nothing is left out. */
export function createDropout(
  { model, tasks, anchors, seed, passes = 1 }: Pick<FineTuning, "model" | "tasks" | "anchors" | "seed" | "passes">,
  { targets, dropout = 0 }: LoraShape,
): Dropout | undefined {
  if (dropout === 0) return undefined;
  const least = Math.round(dropout * HALF);
  const parts = [
    ...tasks.map(({ name, examplesPerStep }) => ({ task: name, count: examplesPerStep })),
    // No task is called nothing.
    ...(anchors === undefined ? [] : [{ task: "", count: anchors.examplesPerStep }]),
  ];
  const examples = parts.reduce((sum, { count }) => sum + count, 0);
  const shapes = new Map<number | undefined, ReadonlyMap<string, readonly number[]>>();
  /** In a pass: of targets that the features use, by matrix. */
  const shapesAt = (length: number | undefined): ReadonlyMap<string, readonly number[]> => {
    const known = shapes.get(length);
    if (known !== undefined) return known;
    const found = new Map([...layerInputs(model, examples / passes, length)].filter(([name]) => targets.has(name)));
    shapes.set(length, found);
    return found;
  };
  return {
    specs: (length) =>
      new Map([...shapesAt(length)].map(([name, shape]) => [keptInput(name), { shape, dtype: "uint8" }])),
    kept: (step, length) =>
      new Map(
        [...shapesAt(length)].map(([name, shape]): [string, Uint8Array] => {
          const size = sizeOf(shape) / (examples / passes);
          const values = new Uint8Array(size * examples);
          let from = 0;
          for (const { task, count } of parts)
            for (let place = 0; place < count; place++, from += size)
              fillKept(values.subarray(from, from + size), least, ["lora dropout", seed, name, step, task, place]);
          return [keptInput(name), values];
        }),
      ),
  };
}

/**
 * Values of an example, padded to `length` or the last of the model's lengths, that are kept or not; 0 without dropout.
 * Throws as `loraShape`.
 */
export function keptPerExample(
  { model, lora, freeze = [] }: Pick<FineTuning, "model" | "lora" | "freeze">,
  length = model.lengths?.at(-1),
): number {
  if (lora === undefined || (lora.dropout ?? 0) === 0) return 0;
  const names = model.tensors.map(({ name }) => name);
  const { targets } = loraShape(model, lora, frozenByPatterns(names, freeze));
  const shapes = [...layerInputs(model, 1, length)].filter(([name]) => targets.has(name));
  return shapes.reduce((sum, [, shape]) => sum + sizeOf(shape), 0);
}

/** Two values of each random word, the higher half first: a shorter input is the beginning of a longer one's. */
function fillKept(values: Uint8Array, least: number, keys: readonly (string | number)[]): void {
  const { nextUint32 } = createRng(...keys);
  for (let index = 0; index < values.length; index += 2) {
    const word = nextUint32();
    values[index] = word >>> 16 >= least ? 1 : 0;
    values[index + 1] = (word & 0xffff) >= least ? 1 : 0;
  }
}
