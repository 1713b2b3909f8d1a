/**
 * A text model as small as it can be, with everything that lengths concern: a table of words, a layer per token, the mean over the tokens that are
 * not padding, a tensor that no feature uses; its examples, heads and a bundle of two experts. D width, E features, V words.
 */
import { join } from "node:path";
import { type Bundle, openBundle } from "../../src/checkpoint/bundle.js";
import { type WritableTensor, writeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import type { ExampleStore, LabelledExamples } from "../../src/data/examples.js";
import { linear } from "../../src/engine/ops/linear.js";
import { sizeOf } from "../../src/engine/program.js";
import { tf } from "../../src/engine/tf.js";
import type { Model, ModelTensor } from "../../src/model/family.js";
import type { Head } from "../../src/model/heads.js";
import { temporaryFolder } from "./cli.js";
import { randomArray } from "./random.js";

const [WORDS, WIDTH, FEATURES] = [20, 6, 5];
export const LENGTHS = [4, 8, 16] as const;

const tensors: readonly ModelTensor[] = [
  { name: "words.weight", shape: [WORDS, WIDTH], part: "embeddings", isTable: true },
  { name: "dense.weight", shape: [WIDTH, WIDTH], part: "block", block: 0, sharesInput: "dense.weight" },
  { name: "dense.bias", shape: [WIDTH], part: "block", block: 0 },
  { name: "out.weight", shape: [FEATURES, WIDTH], part: "output", sharesInput: "out.weight" },
  { name: "out.bias", shape: [FEATURES], part: "output" },
  { name: "unused.weight", shape: [WIDTH, WIDTH], part: "output", sharesInput: "unused.weight" },
];

const TOWER = { prefix: "", parts: [], sign: "words.weight", beside: [], rest: /^$/ };

export function tinyTextModel(lengths: readonly number[] = LENGTHS): Model {
  return {
    featureSize: FEATURES,
    layout: { title: "a tiny text model", spellings: [], derived: [], ties: [], otherNamings: [], tower: TOWER },
    tensors,
    lengths,
    mask: "attention_mask",
    inputs: (count, length = lengths.at(-1) ?? 0) =>
      new Map([
        ["input_ids", { shape: [count, length], dtype: "int32" }],
        ["attention_mask", { shape: [count, length], dtype: "uint8" }],
      ]),
    features: (weights, inputs, watch) => {
      const maskBT1 = tf.expandDims(inputs("attention_mask"), 2);
      const dense = (name: string, x: ReturnType<typeof inputs>) => {
        watch?.input?.(`${name}.weight`, x);
        return linear(x, weights.get(`${name}.weight`), weights.get(`${name}.bias`));
      };
      const hiddenBTD = tf.tanh(dense("dense", weights.rows("words.weight", inputs("input_ids"))));
      watch?.part?.("dense", hiddenBTD);
      const meanBD = tf.div(tf.sum(tf.mul(hiddenBTD, maskBT1), 1), tf.sum(maskBT1, 1));
      return dense("out", meanBD);
    },
    valuesPerExample: (length = lengths.at(-1) ?? 0) => 1000 * length,
    facts: [],
  };
}

/** Weights of every tensor, by name. */
export function tinyWeights(seed: number): Map<string, Float32Array> {
  return new Map(tensors.map(({ name, shape }, index) => [name, randomArray(sizeOf(shape), 100 * seed + index)]));
}

/** A text of each of these lengths, labelled. Padding has a word of its own, whose row is not zero. */
export function tinyTexts(name: string, lengths: readonly number[], classes: number): LabelledExamples {
  const words = lengths.map((length, index) =>
    randomArray(length, index + 7 * name.length, 1, WORDS).map((word) => Math.floor(word)),
  );
  return {
    ...{ name, size: lengths.length, lengths: Int32Array.from(lengths) },
    labels: Int32Array.from(lengths, (_, index) => index % classes),
    gather: (indices, length = 0) => {
      const [ids, mask] = [new Int32Array(indices.length * length), new Uint8Array(indices.length * length)];
      for (const [row, index] of indices.entries()) {
        const text = words[index]?.slice(0, length) ?? [];
        ids.set(text, row * length);
        mask.fill(1, row * length, row * length + text.length);
      }
      return new Map<string, Int32Array | Uint8Array>([
        ["input_ids", ids],
        ["attention_mask", mask],
      ]);
    },
  };
}

export function tinyHead(task: string, classes: number, seed: number): Head {
  const weight = randomArray(classes * FEATURES, seed);
  return { task, classes, featureSize: FEATURES, logitScale: 2, weight, bias: randomArray(classes, seed + 1) };
}

export interface TinyProblem {
  readonly model: Model;
  readonly heads: readonly Head[];
  readonly stores: ReadonlyMap<string, ExampleStore & LabelledExamples>;
  readonly bundle: Bundle;
}

/** Two tasks, of short and of longer texts. */
export async function tinyProblem(): Promise<TinyProblem> {
  const tasks = ["short", "longer"];
  const path = join(await temporaryFolder(), "bundle.safetensors");
  const entries = tensors.flatMap(({ name, shape }, index): WritableTensor[] => [
    { name: `base/${name}`, dtype: "F32", shape, data: randomArray(sizeOf(shape), 1 + index) },
    {
      name: `task_vectors/${name}`,
      dtype: "F32",
      shape: [2, ...shape],
      data: randomArray(2 * sizeOf(shape), 51 + index),
    },
  ]);
  const metadata = { format: "adamerge-bundle", version: "1", fingerprint: "", tasks: JSON.stringify(tasks) };
  await writeSafetensors(path, entries, {
    metadata: { ...metadata, tensors: JSON.stringify(tensors.map(({ name }) => name)) },
  });
  return {
    model: tinyTextModel(),
    heads: [tinyHead("short", 3, 11), tinyHead("longer", 4, 21)],
    stores: new Map([
      ["short", tinyTexts("short", [3, 1, 4, 2, 5, 4, 3, 2], 3)],
      ["longer", tinyTexts("longer", [12, 3, 7, 16, 4, 2, 9, 8, 1, 6, 5], 4)],
    ]),
    bundle: await openBundle(path),
  };
}
