/**
 * What a step of a fine-tuning is given: the next labelled examples of every task, one task behind the other, padded
 * together, and behind them the anchors. A pure function of seed, names of tasks and step, so that a training that
 * resumes sees the same examples.
 */
import { commonLength } from "../../data/batches.js";
import type { ExampleValues } from "../../data/examples.js";
import { batchIndices } from "../../data/sampler.js";
import { FINE_TUNE_ANCHORS, FINE_TUNE_LABELS } from "../fine-tune-program.js";
import { joinedBatches } from "../step-inputs.js";
import type { Dropout } from "./dropout.js";
import type { DrawnExamples, FineTuneTask, FineTuning } from "./options.js";

export interface FineTuneBatch {
  /** Of the program for the whole batch, by name. */
  readonly inputs: ReadonlyMap<string, ExampleValues>;
  /** What the examples are padded to, where they have lengths. */
  readonly length?: number;
}

/** The batch of step `step`, counted from 1, with what `dropout` keeps of the inputs of LoRA. Throws DataError when a split is empty. */
export function fineTuneBatch(
  { model, tasks, anchors, seed }: Pick<FineTuning, "model" | "tasks" | "anchors" | "seed">,
  step: number,
  dropout?: Dropout,
): FineTuneBatch {
  const places = tasks.map((task) => ({ ...task, indices: nextIndices(task, seed, step) }));
  const length = model.lengths === undefined ? undefined : commonLength(model.lengths, places);
  const drawn = places.map((task) => task.batchAt?.(step) ?? storedExamples(task, length));
  const kept = anchors?.at(step);
  const examples = joinedBatches([...drawn, ...(kept === undefined ? [] : [kept])].map(({ examples }) => examples));
  const inputs = new Map<string, ExampleValues>([
    ...examples,
    [FINE_TUNE_LABELS, Int32Array.from(drawn.flatMap(({ labels }) => [...labels]))],
    ...(kept === undefined ? [] : [[FINE_TUNE_ANCHORS, kept.features] as const]),
    ...(dropout?.kept(step, length) ?? []),
  ]);
  return { inputs, ...(length === undefined ? {} : { length }) };
}

function nextIndices({ name, store, examplesPerStep }: FineTuneTask, seed: number, step: number): Uint32Array {
  return batchIndices({ seed, task: name, step: step - 1, batchSize: examplesPerStep, size: store.size });
}

function storedExamples(
  { store, indices }: Pick<FineTuneTask, "store"> & { readonly indices: Uint32Array },
  length: number | undefined,
): DrawnExamples {
  return {
    examples: store.gather(indices, length),
    labels: Int32Array.from(indices, (row) => store.labels[row] ?? -1),
  };
}
