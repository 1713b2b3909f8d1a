/**
 * The text tower of a CLIP model: its weights, logit scale and tokenizer from the model's files, and the features of many prompts on an
 * engine. Prompts are short and the context is 77 tokens, so they go in groups of about one length, each by a program of that length.
 * P prompts, B prompts of a batch, T tokens, D width, E features, V vocabulary.
 */
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Checkpoint, openCheckpoint } from "../../checkpoint/checkpoint.js";
import { towerTensors } from "../../checkpoint/layout/tower-names.js";
import { refuseQuantised } from "../../checkpoint/quantised.js";
import { requireFinite, tensorPlace } from "../../checkpoint/task-vectors.js";
import { lookup } from "../../engine/lookup.js";
import type { Engine, Executable, Program, TensorSource, TensorSpec } from "../../engine/program.js";
import { assert, CheckpointError } from "../../errors.js";
import { inParts } from "../../runtime/progress.js";
import type { NamedShape } from "../family.js";
import { plainWeights } from "../model-weights.js";
import type { TextEmbedder, TextFeatureOptions } from "../text-embedder.js";
import { type ClipTextConfig, parseClipTextConfig } from "./config.js";
import { clipTextLayout } from "./layout.js";
import { clipTextFeatures, clipTextTensors, embedPrompts, tokenTable } from "./text.js";
import { type ClipTokenizer, openClipTokenizer } from "./tokenizer.js";

/** Prompts per forward: enough for the cores; the widest tower at full length takes some 100 MB. */
const BATCH = 64;
/** Lengths are rounded up to a multiple: few programs, little padding. */
const LENGTH_STEP = 8;

export interface TextTower {
  readonly path: string;
  readonly config: ClipTextConfig;
  readonly tokenizer: ClipTokenizer;
  /** exp of the model's own; undefined for a text tower that was saved without it. */
  readonly logitScale: number | undefined;
  /** Name and content hash of every tensor. */
  hashes(): Promise<readonly (readonly [string, string])[]>;
  /** Values of every tensor. Throws CheckpointError for one that is not finite. */
  weights(): Promise<ReadonlyMap<string, Float32Array>>;
}

/**
 * Opens a CLIPModel or a CLIPTextModelWithProjection, a folder or its model.safetensors. Throws CheckpointError for a model without text tower,
 * with tensors that are missing or of another shape, and without tokenizer files.
 */
export async function openTextTower(path: string): Promise<TextTower> {
  const checkpoint = await openCheckpoint(path);
  refuseQuantised(checkpoint);
  const { names: stored } = towerTensors(clipTextLayout, checkpoint.tensors.keys(), path);
  if (!stored.has(clipTextLayout.tower.prefix + clipTextLayout.tower.sign))
    throw new CheckpointError(
      `${path}: expected a CLIP model with its text tower (text_model.*) for zero-shot heads, found none; name a whole CLIP model as text_model in suite.yaml, or give the file of a stored head`,
    );
  const folder = (await stat(path)).isDirectory() ? path : dirname(path);
  const config = parseClipTextConfig(checkpoint.config, join(folder, "config.json"));
  const tensors = [tokenTable(config), ...clipTextTensors(config)].map((wanted) => ({
    ...wanted,
    stored: requireTensor(checkpoint, stored, wanted),
  }));
  return {
    path,
    config,
    tokenizer: await openClipTokenizer(folder, config.contextLength),
    logitScale: await readLogitScale(checkpoint, stored),
    hashes: async () => {
      const hashes = await checkpoint.tensorSha256s(tensors.map((tensor) => tensor.stored));
      return tensors.map(({ name }, index) => [name, hashes[index] ?? ""] as const);
    },
    weights: async () => {
      const weights = new Map<string, Float32Array>();
      for (const { name, stored: own } of tensors) {
        const values = await checkpoint.readFloat32(own);
        requireFinite(values, tensorPlace(path, own));
        weights.set(name, values);
      }
      return weights;
    },
  };
}

function requireTensor(
  { path, tensors }: Checkpoint,
  stored: ReadonlyMap<string, string>,
  { name, shape }: NamedShape,
): string {
  const own = stored.get(name);
  const found = own === undefined ? undefined : tensors.get(own);
  if (own !== undefined && found !== undefined && found.shape.join() === shape.join()) return own;
  throw new CheckpointError(
    `${path}: tensor ${name}: expected shape [${shape.join(", ")}] (text tower of config.json), found ${found === undefined ? "none" : `[${found.shape.join(", ")}]`}; use a whole CLIP model with the config.json that was saved with it`,
  );
}

async function readLogitScale(
  checkpoint: Checkpoint,
  stored: ReadonlyMap<string, string>,
): Promise<number | undefined> {
  const name = stored.get("logit_scale");
  if (name === undefined) return undefined;
  const values = await checkpoint.readFloat32(name);
  requireFinite(values, tensorPlace(checkpoint.path, name));
  const [value] = values;
  if (values.length !== 1 || value === undefined)
    throw new CheckpointError(`${tensorPlace(checkpoint.path, name)}: expected 1 value, found ${values.length}`);
  return Math.exp(value);
}

/** The text tower as what embeds texts. Throws as `openTextTower`. */
export async function openClipTexts(path: string): Promise<TextEmbedder> {
  const tower = await openTextTower(path);
  const { config, tokenizer, logitScale, hashes } = tower;
  return {
    path,
    featureSize: config.projectionSize,
    logitScale,
    facts: [config],
    hashes,
    tokens: (texts) => tokenizer.encode(texts),
    features: async (engine, texts, options) => textFeatures(engine, tower, await tokenizer.encode(texts), options),
  };
}

/** Normalised features [P, E] of prompts, each the numbers of its tokens. */
export async function textFeatures(
  engine: Engine,
  tower: Pick<TextTower, "config" | "weights">,
  prompts: readonly (readonly number[])[],
  { onProgress, signal }: TextFeatureOptions,
): Promise<Float32Array> {
  const { config } = tower;
  const weights = await tower.weights();
  const tableVD = weights.get(tokenTable(config).name);
  assert(tableVD !== undefined, "no table of tokens");
  const featuresPE = new Float32Array(prompts.length * config.projectionSize);
  const piece = { what: "embedding class names", total: prompts.length, unit: "prompts" };
  await inParts(onProgress, piece, async (more) => {
    for (const [tokens, rows] of byLength(config, prompts)) {
      const batch = Math.min(BATCH, rows.length);
      const executable = await engine.compile(textProgram(config, batch, tokens));
      try {
        await executable.bind(graphSources(config, weights));
        for (let first = 0; first < rows.length; first += batch) {
          signal?.throwIfAborted();
          const own = rows.slice(first, first + batch);
          // A batch that is not full repeats its last prompt.
          const ids = Array.from({ length: batch }, (_, row) => prompts[own[Math.min(row, own.length - 1)] ?? 0] ?? []);
          const featuresBE = await run(executable, embedPrompts(config, tableVD, ids, tokens));
          for (const [row, prompt] of own.entries())
            featuresPE.set(
              featuresBE.subarray(row * config.projectionSize, (row + 1) * config.projectionSize),
              prompt * config.projectionSize,
            );
          more(own.length);
        }
      } finally {
        await executable.close();
      }
    }
  });
  return featuresPE;
}

/** Indices of prompts by the length that they are padded to, short ones first. */
function byLength(
  { contextLength }: ClipTextConfig,
  prompts: readonly (readonly number[])[],
): readonly (readonly [number, readonly number[]])[] {
  const groups = new Map<number, number[]>();
  for (const [index, { length }] of prompts.entries()) {
    const tokens = Math.min(contextLength, Math.ceil(length / LENGTH_STEP) * LENGTH_STEP);
    const group = groups.get(tokens) ?? [];
    group.push(index);
    groups.set(tokens, group);
  }
  return [...groups].toSorted(([a], [b]) => a - b);
}

const INPUT_EMBEDDED = "embedded";
const INPUT_END = "end";
const OUTPUT_FEATURES = "features";

async function run(
  executable: Executable,
  { embeddedBTD, endB1T }: ReturnType<typeof embedPrompts>,
): Promise<Float32Array> {
  const inputs = new Map([
    [INPUT_EMBEDDED, embeddedBTD],
    [INPUT_END, endB1T],
  ]);
  const features = (await executable.run(inputs)).get(OUTPUT_FEATURES);
  assert(features !== undefined, "the text tower has no features");
  return features;
}

/** Frozen: the tower's tensors. Inputs: `embedded` [B, T, D] and `end` [B, 1, T]. Output: `features` [B, E]. */
function textProgram(config: ClipTextConfig, batch: number, tokens: number): Program {
  const frozen = clipTextTensors(config).map(({ name, shape }): [string, TensorSpec] => [
    name,
    { shape, dtype: "float32" },
  ]);
  return {
    name: "text",
    frozen: new Map(frozen),
    inputs: new Map([
      [INPUT_EMBEDDED, { shape: [batch, tokens, config.hiddenSize], dtype: "float32" }],
      [INPUT_END, { shape: [batch, 1, tokens], dtype: "float32" }],
    ]),
    build: (tensors) => {
      const get = lookup(tensors);
      return new Map([
        [OUTPUT_FEATURES, clipTextFeatures(config, plainWeights(get), get(INPUT_EMBEDDED), get(INPUT_END))],
      ]);
    },
  };
}

function graphSources(
  config: ClipTextConfig,
  weights: ReadonlyMap<string, Float32Array>,
): ReadonlyMap<string, TensorSource> {
  return new Map(
    clipTextTensors(config).map(({ name }) => {
      const values = weights.get(name);
      assert(values !== undefined, `no weights for ${name}`);
      return [name, { kind: "memory", values }];
    }),
  );
}
