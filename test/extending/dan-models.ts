/** A base and two experts of the family in dan-family.mjs with random weights, their tokenizer, and labelled texts: a folder as its user has it. */
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { sizeOf } from "../../src/engine/program.js";
import { randomArray } from "../support/random.js";

export const TASKS = ["mood", "topic"] as const;
const WORDS = ["[PAD]", "[UNK]", "good", "bad", "fine", "awful", "cats", "dogs", "tea", "rain", "sun", "bread"];
const WIDTH = 8;
const TEXTS = 60;

const CONFIG = {
  model_type: "deep_averaging_network",
  vocab_size: WORDS.length,
  hidden_size: WIDTH,
  num_layers: 2,
};
const TOKENIZER = {
  version: "1.0",
  added_tokens: WORDS.slice(0, 2).map((content, id) => ({ id, content, special: true })),
  normalizer: { type: "Lowercase" },
  pre_tokenizer: { type: "Whitespace" },
  post_processor: null,
  decoder: null,
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
  },
};

const SHAPES: readonly (readonly [name: string, shape: readonly number[]])[] = [
  ["embeddings.weight", [WORDS.length, WIDTH]],
  ["layers.0.weight", [WIDTH, WIDTH]],
  ["layers.0.bias", [WIDTH]],
  ["layers.1.weight", [WIDTH, WIDTH]],
  ["layers.1.bias", [WIDTH]],
];

/** Writes base/, mood/, topic/, mood.csv, topic.csv and family.mjs into `folder`. */
export async function writeDanFolder(folder: string): Promise<void> {
  await writeModel(join(folder, "base"), 0);
  for (const [index, task] of TASKS.entries()) {
    await writeModel(join(folder, task), index + 1);
    const rows = Array.from({ length: TEXTS }, (_, row) => `${textOf(row)},${row % 2 === 0 ? "yes" : "no"}\n`);
    await writeFile(join(folder, `${task}.csv`), `text,label\n${rows.join("")}`);
  }
  await cp(join(import.meta.dirname, "dan-family.mjs"), join(folder, "family.mjs"));
}

/** Different ones, of one to five words. */
function textOf(row: number): string {
  const words = Array.from(randomArray(1 + (row % 5), row + 1, 2, WORDS.length), (word) => WORDS[Math.floor(word)]);
  return `${words.join(" ")} ${row}`;
}

/** Experts lie near the base and have a classifier. */
async function writeModel(folder: string, seed: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const tower = SHAPES.map(([name, shape], index) => {
    const data = randomArray(sizeOf(shape), index + 1);
    const change = randomArray(data.length, 100 * seed + index);
    return {
      name,
      dtype: "F32",
      shape,
      data: data.map((value, at) => value + (seed === 0 ? 0 : 0.3) * (change[at] ?? 0)),
    };
  });
  const head = [
    { name: "classifier.weight", dtype: "F32", shape: [2, WIDTH], data: randomArray(2 * WIDTH, 7 + seed) },
    { name: "classifier.bias", dtype: "F32", shape: [2], data: randomArray(2, 9 + seed) },
  ];
  await writeSafetensors(join(folder, "model.safetensors"), seed === 0 ? tower : [...tower, ...head]);
  const classifier = {
    architectures: ["DeepAveragingForSequenceClassification"],
    id2label: { 0: "no", 1: "yes" },
  };
  await writeFile(join(folder, "config.json"), JSON.stringify(seed === 0 ? CONFIG : { ...CONFIG, ...classifier }));
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(TOKENIZER));
}
