/**
 * What FusionBench is given of a run config, in one safetensors file: images of each task as uint8, which of them make each batch (the sampler's choice), labels for
 * the accuracy, heads and the normalisation. Checkpoints it loads itself. N images, S steps, B images of a batch, C classes, E features.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeSafetensors } from "../../dist/checkpoint/safetensors.js";
import type { WritableTensor } from "../../dist/checkpoint/safetensors-writer.js";
import type { RunConfig } from "../../dist/config/schema.js";
import { exampleBatches } from "../../dist/data/batches.js";
import { type Preprocessing, parsePreprocessing } from "../../dist/data/image/preprocessing.js";
import { batchIndices } from "../../dist/data/sampler.js";
import { type Inputs, loadInputs, loadLabelled } from "../../dist/run/session/inputs.js";

export interface GivenInputs {
  /** Directories by name, `_pretrained_` first, then tasks in the order of our coefficients. */
  readonly models: Readonly<Record<string, string>>;
  readonly tasks: readonly string[];
}

/** Writes the file. Adapting and judging must use one split, since one set of images is written. */
export async function writeInputs(path: string, config: RunConfig, cacheDir: string): Promise<GivenInputs> {
  const { adapt_split: split, eval_split, batch_size: batchSize, batches_per_task } = config.data;
  if (split !== eval_split || batches_per_task !== 1)
    throw new Error(
      `expected one split and one batch of each task as in FusionBench, found ${split}, ${eval_split}, ${batches_per_task}`,
    );
  const inputs = await loadInputs(config, { cacheDir, log: () => undefined });
  const stores = await loadLabelled(inputs, inputs.tasks, split, cacheDir);
  const file = join(inputs.suite.base, "preprocessor_config.json");
  const preprocessing = parsePreprocessing(JSON.parse(await readFile(file, "utf8")), file);
  const { height, width } = preprocessing;
  const tensors: WritableTensor[] = [...normalization(preprocessing), ...heads(inputs)];
  for (const [task, store] of stores) {
    const { size, labels } = store;
    const [whole] = exampleBatches(store, size);
    const pixels = whole?.inputs.get("images");
    if (!(pixels instanceof Uint8Array)) throw new Error(`no images of ${task}`);
    const indices = Array.from({ length: config.steps }, (_, step) => [
      ...batchIndices({ seed: config.seed, task, step, batchSize, size }),
    ]);
    tensors.push(
      { name: `pixels/${task}`, dtype: "U8", shape: [size, height, width, 3], data: pixels },
      { name: `labels/${task}`, dtype: "I32", shape: [size], data: bytesOf(labels) },
      { name: `indices/${task}`, dtype: "I32", shape: [config.steps, batchSize], data: bytesOf(indices.flat()) },
    );
  }
  await writeSafetensors(path, tensors);
  const tasks = inputs.tasks.map(({ name }) => name);
  const experts = inputs.tasks.map(({ name, expert }): [string, string] => [name, expert]);
  return { models: { _pretrained_: inputs.suite.base, ...Object.fromEntries(experts) }, tasks };
}

function normalization({ rescaleFactor, mean, std }: Preprocessing): WritableTensor[] {
  return [
    { name: "rescale_factor", dtype: "F32", shape: [], data: Float32Array.of(rescaleFactor) },
    { name: "mean", dtype: "F32", shape: [3], data: Float32Array.from(mean) },
    { name: "std", dtype: "F32", shape: [3], data: Float32Array.from(std) },
  ];
}

function heads(inputs: Inputs): WritableTensor[] {
  return inputs.heads.flatMap(({ task, classes, featureSize, weight, bias, logitScale }) => [
    { name: `head/${task}/weight`, dtype: "F32", shape: [classes, featureSize], data: weight },
    { name: `head/${task}/bias`, dtype: "F32", shape: [classes], data: bias },
    { name: `head/${task}/scale`, dtype: "F32", shape: [], data: Float32Array.of(logitScale) },
  ]);
}

function bytesOf(values: ArrayLike<number>): Uint8Array {
  return new Uint8Array(Int32Array.from(values).buffer);
}
