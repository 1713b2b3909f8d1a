/** A small suite in memory, to be changed, written and opened as a run opens it: two experts of a tower of one layer. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeSafetensors } from "../../src/checkpoint/safetensors.js";
import { loadRunConfig } from "../../src/config/load.js";
import { parseClipConfig } from "../../src/model/clip/config.js";
import { clipVisionTensors } from "../../src/model/clip/vision.js";
import { loadInputs } from "../../src/run/session/inputs.js";
import { ROOT } from "../support/cli.js";
import { randomArray } from "../support/random.js";

export const SMALL = {
  ...{ hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16 },
  ...{ image_size: 32, patch_size: 8, projection_dim: 4 },
};
const PREPROCESSOR = {
  ...{ do_resize: true, size: { shortest_edge: 32 }, resample: 3, do_center_crop: true },
  ...{ crop_size: { height: 32, width: 32 }, do_rescale: true, rescale_factor: 1 / 255, do_normalize: true },
  ...{ image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] },
};
export const FC1 = "vision_model.encoder.layers.0.mlp.fc1.weight";
export const FC1_BIAS = "vision_model.encoder.layers.0.mlp.fc1.bias";
export const Q = "vision_model.encoder.layers.0.self_attn.q_proj.weight";
export const K_BIAS = "vision_model.encoder.layers.0.self_attn.k_proj.bias";
export const POSITIONS = "vision_model.embeddings.position_embedding.weight";
export const NORM_BIAS = "vision_model.pre_layrnorm.bias";

export interface Stored {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint8Array;
}
/** One checkpoint of the set, as it will be written. */
export interface Model {
  config: object | undefined;
  metadata: Record<string, string>;
  tensors: Stored[];
}
/** The suite before it is written: changed by the rows. */
export interface ModelSet {
  base: Model;
  a: Model;
  b: Model;
  headA: Stored[];
}

/** Base values, moved by `move` of their size: what fine-tuning does. */
export function tower(seed: number, move: number, config: object = SMALL): Model {
  const tensors = clipVisionTensors(parseClipConfig(config, "c")).map(({ name, shape }, index): Stored => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    const changes = randomArray(size, 1000 * seed + index, -move, move);
    const data = randomArray(size, index).map((value, at) => value + (changes[at] ?? 0));
    return { name, dtype: "F32", shape, data };
  });
  return { config: { ...config }, metadata: { format: "pt" }, tensors };
}

export function soundSet(): ModelSet {
  const weight: Stored = { name: "weight", dtype: "F32", shape: [2, 4], data: randomArray(8, 77) };
  return { base: tower(0, 0), a: tower(1, 0.05), b: tower(2, 0.05), headA: [weight] };
}

export function edit(model: Model, name: string, change: (stored: Stored) => Stored | undefined): void {
  model.tensors = model.tensors.flatMap((stored) => (stored.name === name ? (change(stored) ?? []) : stored));
}
export const setAt = (name: string, index: number, value: number) => (model: Model) =>
  edit(model, name, (stored) => ({ ...stored, data: floats(stored.data).with(index, value) }));
export const integers = (name: string, values: readonly number[], shape = [1, values.length]): Stored => ({
  ...{ name, dtype: "I64", shape },
  data: new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer),
});
export const scalar = (name: string, shape: readonly number[], value: number): Stored => ({
  ...{ name, dtype: "F32", shape },
  data: new Float32Array(shape.reduce((product, dim) => product * dim, 1)).fill(value),
});

export function floats(data: Float32Array | Uint8Array | undefined): Float32Array {
  if (data instanceof Float32Array) return data;
  throw new Error("expected float values");
}

async function writeModel(path: string, { config, metadata, tensors }: Model): Promise<void> {
  await mkdir(path, { recursive: true });
  if (config !== undefined) await writeFile(join(path, "config.json"), JSON.stringify(config));
  await writeSafetensors(join(path, "model.safetensors"), tensors, { metadata });
}

/** Writes the set as a suite, changes its files, and opens it as a run does. Returns the inputs and the lines of the log. */
export async function openSet(
  folder: string,
  set: ModelSet,
  overrides: readonly string[],
  touch?: (folder: string) => Promise<unknown>,
) {
  const task = (name: string) =>
    `  - {name: ${name}, dataset: data, expert: ${name}, head: ${name}.head, classes: [zero, one]}\n`;
  await mkdir(join(folder, "data"));
  await writeFile(
    join(folder, "suite.yaml"),
    `name: set\nbase: base\nlogit_scale: 10\ntasks:\n${task("a")}${task("b")}`,
  );
  await writeFile(join(folder, "c.yaml"), "extends: presets/quickstart\nsuite: .\n");
  for (const name of ["base", "a", "b"] as const) await writeModel(join(folder, name), set[name]);
  await writeFile(join(folder, "base", "preprocessor_config.json"), JSON.stringify(PREPROCESSOR));
  await writeSafetensors(join(folder, "a.head"), set.headA);
  await writeSafetensors(join(folder, "b.head"), soundSet().headA);
  await touch?.(folder);
  const options = { presetsDir: join(ROOT, "configs", "presets"), cwd: folder };
  const { config } = await loadRunConfig(join(folder, "c.yaml"), overrides, options);
  const lines: string[] = [];
  const inputs = await loadInputs(config, { cacheDir: join(folder, "cache"), log: (line) => lines.push(line) });
  return { inputs, warnings: lines.filter((line) => line.startsWith("warning")) };
}

/** A change of the sound set, and of its files after they are written. */
export interface Row {
  readonly name: string;
  readonly change: (set: ModelSet) => void;
  readonly touch?: (folder: string) => Promise<unknown>;
}
