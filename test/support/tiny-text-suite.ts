/**
 * A suite of texts as a person has it, as small as it can be: a BERT of two layers with random weights and a tokenizer of single letters, saved as
 * transformers 4 does, two experts saved with their classifiers, and CSV files of letters whose classes are what a text begins with.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type WritableTensor, writeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { randomArray } from "./random.js";

const [HIDDEN, INTERMEDIATE, LAYERS, POSITIONS] = [16, 24, 2, 20];
const LETTERS = [..."abcdefghijklmnopqrstuvwxyz"];
const SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const WORDS = [...SPECIAL, ...LETTERS];
/** By task, with the letters that texts of each begin with. */
export const TEXT_TASKS = {
  thirds: ["abcdefgh", "ijklmnopq", "rstuvwxyz"],
  vowels: ["bcdfghjklmnpqrstvwxyz", "aeiou"],
};
/** Texts of a split, of 1 to 17 letters: of both lengths that the model has. */
const TEXTS = 12;
const LONGEST = 17;

const CONFIG = {
  model_type: "bert",
  hidden_act: "gelu",
  hidden_size: HIDDEN,
  intermediate_size: INTERMEDIATE,
  num_hidden_layers: LAYERS,
  num_attention_heads: 2,
  max_position_embeddings: POSITIONS,
  type_vocab_size: 2,
  vocab_size: WORDS.length,
  layer_norm_eps: 1e-12,
  pad_token_id: 0,
};

function shapes(): readonly (readonly [string, readonly number[]])[] {
  const linear = (name: string, rows: number, columns: number): [string, number[]][] => [
    [`${name}.weight`, [rows, columns]],
    [`${name}.bias`, [rows]],
  ];
  const norm = (name: string): [string, number[]][] => [
    [`${name}.LayerNorm.weight`, [HIDDEN]],
    [`${name}.LayerNorm.bias`, [HIDDEN]],
  ];
  const layer = (at: string) => [
    ...["query", "key", "value"].flatMap((part) => linear(`${at}.attention.self.${part}`, HIDDEN, HIDDEN)),
    ...linear(`${at}.attention.output.dense`, HIDDEN, HIDDEN),
    ...norm(`${at}.attention.output`),
    ...linear(`${at}.intermediate.dense`, INTERMEDIATE, HIDDEN),
    ...linear(`${at}.output.dense`, HIDDEN, INTERMEDIATE),
    ...norm(`${at}.output`),
  ];
  return [
    ["embeddings.word_embeddings.weight", [WORDS.length, HIDDEN]],
    ["embeddings.position_embeddings.weight", [POSITIONS, HIDDEN]],
    ["embeddings.token_type_embeddings.weight", [2, HIDDEN]],
    ...norm("embeddings"),
    ...Array.from({ length: LAYERS }, (_, index) => layer(`encoder.layer.${index}`)).flat(),
    ...linear("pooler.dense", HIDDEN, HIDDEN),
  ];
}

/** The base's weights and, for a seed other than 0, what fine-tuning has made of them. */
function weights(prefix: string, seed: number): WritableTensor[] {
  return shapes().map(([name, shape], index) => {
    const size = shape.reduce((a, b) => a * b);
    const data = randomArray(size, 1 + index, -0.5, 0.5);
    if (name.endsWith("LayerNorm.weight")) data.fill(1);
    const change = randomArray(size, 1000 * seed + index, -0.1, 0.1);
    if (seed > 0) for (const [element, value] of change.entries()) data[element] = (data[element] ?? 0) + value;
    return { name: prefix + name, dtype: "F32", shape, data };
  });
}

const special = (content: string, id: number) => ({
  ...{ id, content, special: true, normalized: false },
  ...{ single_word: false, lstrip: false, rstrip: false },
});

const TOKENIZER = {
  version: "1.0",
  added_tokens: SPECIAL.map(special),
  normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, lowercase: true },
  pre_tokenizer: { type: "BertPreTokenizer" },
  post_processor: {
    type: "TemplateProcessing",
    single: [
      { SpecialToken: { id: "[CLS]", type_id: 0 } },
      { Sequence: { id: "A", type_id: 0 } },
      { SpecialToken: { id: "[SEP]", type_id: 0 } },
    ],
    pair: [],
    special_tokens: {
      "[CLS]": { id: "[CLS]", ids: [2], tokens: ["[CLS]"] },
      "[SEP]": { id: "[SEP]", ids: [3], tokens: ["[SEP]"] },
    },
  },
  model: {
    ...{ type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: 100 },
    vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
  },
};

async function writeModel(folder: string, config: object, tensors: readonly WritableTensor[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, "model.safetensors"), tensors, { metadata: { format: "pt" } });
  await writeFile(join(folder, "config.json"), `${JSON.stringify(config, undefined, 2)}\n`);
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(TOKENIZER));
  await writeFile(join(folder, "tokenizer_config.json"), '{"tokenizer_class": "BertTokenizer"}');
}

/** Labelled texts; each of its own letters, so that none is there twice. */
function csv(beginnings: readonly string[], seed: number): string {
  const rows = Array.from({ length: TEXTS }, (_, index) => {
    const label = index % beginnings.length;
    const drawn = randomArray(1 + ((7 * index + 3) % LONGEST), 100 * seed + index, 0, 1);
    const of = (letters: ArrayLike<string>, at: number) => letters[Math.floor(at * letters.length)] ?? "a";
    const [first = 0, ...others] = drawn;
    const text = [of(beginnings[label] ?? "a", first), ...others.map((at) => of(LETTERS, at))].join(" ");
    return `${text},class ${label}\n`;
  });
  return `text,label\n${rows.join("")}`;
}

/** Writes `models/base`, `models/<task>`, `texts/<task>/<split>.csv`, `suite.yaml` and `config.yaml` into the folder. */
export async function writeTextSuite(folder: string): Promise<void> {
  const positions = Buffer.from(BigInt64Array.from({ length: POSITIONS }, (_, index) => BigInt(index)).buffer);
  const buffer = { name: "embeddings.position_ids", dtype: "I64", shape: [1, POSITIONS], data: positions };
  await writeModel(join(folder, "models", "base"), { architectures: ["BertModel"], ...CONFIG }, [
    buffer,
    ...weights("", 0),
  ]);
  const suite = ["name: letters", "base: models/base", "features: { pooling: pooler, normalize: false }", "tasks:"];
  for (const [index, [task, beginnings]] of Object.entries(TEXT_TASKS).entries()) {
    const classes = beginnings.map((_, label) => `class ${label}`);
    const head = [
      { name: "classifier.weight", shape: [classes.length, HIDDEN] },
      { name: "classifier.bias", shape: [classes.length] },
    ].map(({ name, shape }, at): WritableTensor => {
      const size = shape.reduce((a, b) => a * b);
      return { name, dtype: "F32", shape, data: randomArray(size, 70 + 2 * index + at) };
    });
    const config = {
      architectures: ["BertForSequenceClassification"],
      ...CONFIG,
      id2label: Object.fromEntries(classes.map((name, label) => [label, name])),
    };
    await writeModel(join(folder, "models", task), config, [...weights("bert.", 1 + index), ...head]);
    await mkdir(join(folder, "texts", task), { recursive: true });
    for (const [at, split] of ["adapt", "test"].entries())
      await writeFile(join(folder, "texts", task, `${split}.csv`), csv(beginnings, 10 * index + at));
    suite.push(
      `  - { name: ${task}, dataset: texts/${task}, expert: models/${task}, head: { classifier: expert }, classes: [${classes.join(", ")}] }`,
    );
  }
  await writeFile(join(folder, "suite.yaml"), `${suite.join("\n")}\n`);
  const data = "data: { adapt_split: adapt, eval_split: test, batch_size: 2, batches_per_task: 2, eval_batch_size: 4 }";
  await writeFile(
    join(folder, "config.yaml"),
    `extends: presets/paper\nsuite: .\nthreads: 1\nsteps: 2\noptimizer: { learning_rate: 0.05 }\n${data}\n`,
  );
}
