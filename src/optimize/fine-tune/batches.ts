/**
 * What a step of a fine-tuning is given: the next labelled examples of every task, one task behind the other, padded
 * together. A pure function of seed, names of tasks and step, so that a training that resumes sees the same examples.
 */
import { commonLength } from "../../data/batches.js";
import type { ExampleValues } from "../../data/examples.js";
import { batchIndices } from "../../data/sampler.js";
import { joinedBatches } from "../step-inputs.js";
import type { Dropout } from "./dropout.js";
import type { FineTuning } from "./options.js";

export interface FineTuneBatch {
  /** Of the program, by name; for each pass. */
  readonly inputs: readonly ReadonlyMap<string, ExampleValues>[];
  /** What the examples are padded to, where they have lengths. */
  readonly length?: number;
}

/** The batch of step `step`, counted from 1, with what `dropout` keeps of the inputs of LoRA. Throws DataError when a split is empty. */
export function fineTuneBatch(
  { model, tasks, seed, passes = 1 }: FineTuning,
  step: number,
  dropout?: Dropout,
): FineTuneBatch {
  const drawn = tasks.map(({ name, store, examplesPerStep }) => {
    const place = { seed, task: name, step: step - 1, batchSize: examplesPerStep };
    return { store, indices: batchIndices({ ...place, size: store.size }) };
  });
  const length = model.lengths === undefined ? undefined : commonLength(model.lengths, drawn);
  // All passes are padded alike: one graph, and the numbers of an undivided batch.
  const inputs = Array.from({ length: passes }, (_, pass) => {
    const part = drawn.map(({ store, indices }) => {
      const size = indices.length / passes;
      return { store, indices: indices.slice(pass * size, (pass + 1) * size) };
    });
    const labels = part.flatMap(({ store, indices }) => [...indices].map((row) => labelAt(store, row)));
    const examples = joinedBatches(part.map(({ store, indices }) => store.gather(indices, length)));
    const kept = dropout?.kept(step, pass, length) ?? [];
    return new Map<string, ExampleValues>([...examples, ["labels", Int32Array.from(labels)], ...kept]);
  });
  return { inputs, ...(length === undefined ? {} : { length }) };
}

function labelAt({ labels }: FineTuning["tasks"][number]["store"], row: number): number {
  return labels[row] ?? -1;
}
