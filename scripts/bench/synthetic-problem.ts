/**
 * A problem of a given size for the benchmarks: a bundle, examples and heads of random values, as files that both our engine and
 * PyTorch map. Speed does not depend on the values; they are realistic in scale so that no number overflows or vanishes.
 */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Head, Model } from "../../dist/internal.js";
import { openBase } from "../../dist/model/open-models.js";
import { writeSafetensorsStream } from "../../src/checkpoint/safetensors-writer.js";
import { createRng } from "../../src/runtime/rng.js";
import { type Tower, type TowerName, towerOf } from "./towers.js";

export interface ProblemSize {
  readonly shape: TowerName;
  readonly tasks: number;
  /** Examples of all tasks together. */
  readonly images: number;
  readonly classes: number;
  /** Of the task vectors in the bundle. */
  readonly dtype?: "float32" | "float16";
  /** A model with these dimensions, whose weights are the base; random ones if absent. */
  readonly folder?: string | undefined;
}

export interface Problem {
  readonly bundlePath: string;
  /** The model's inputs (`images` U8 [B, H, W, C], or `input_ids` I32 [B, T] and the others) and `head/<task>` F32 [C, E]. */
  readonly inputsPath: string;
}

/** Weights of CLIP towers have about this deviation, and fine-tuning moves them by about a tenth of it. */
const WEIGHT_DEVIATION = 0.02;
const TASK_VECTOR_DEVIATION = 0.002;
/** Random values are drawn once and read from changing places, or filling gigabytes would take minutes. */
const POOL = 1 << 20;

export const taskName = (index: number): string => `task${index}`;

/** Writes the files, or finds them from an earlier run, under the system's temporary folder. */
export async function makeProblem(size: ProblemSize): Promise<Problem> {
  const { shape, tasks, images, classes, dtype = "float32", folder: model } = size;
  const folder = join(tmpdir(), "adamerge-bench");
  await mkdir(folder, { recursive: true });
  const bundlePath = join(
    folder,
    `${shape}-${tasks}${model === undefined ? "" : "-real"}${dtype === "float16" ? "-half" : ""}.safetensors`,
  );
  const inputsPath = join(folder, `${shape}-${tasks}-${images}-${classes}.safetensors`);
  const tower = towerOf(shape);
  const base = model === undefined ? undefined : await weightsOf(model, tower.model);
  if (!existsSync(bundlePath)) await writeBundle(bundlePath, tower.model, tasks, dtype, base);
  if (!existsSync(inputsPath)) await writeInputs(inputsPath, tower, size);
  return { bundlePath, inputsPath };
}

/** The heads as our step takes them, from their weights [C, E] by task. */
export function headsOf(
  { featureSize }: Pick<Model, "featureSize">,
  classes: number,
  weights: ReadonlyMap<string, Float32Array>,
): Head[] {
  return [...weights].map(([task, weight]) => ({
    task,
    classes,
    featureSize,
    weight,
    bias: new Float32Array(classes),
    logitScale: 100,
  }));
}

/** By canonical name. */
async function weightsOf(folder: string, { tensors }: Model): Promise<Map<string, Float32Array>> {
  const base = await openBase(folder);
  const weights = new Map<string, Float32Array>();
  for (const { name } of tensors) weights.set(name, await base.readFloat32(name));
  return weights;
}

async function writeBundle(
  path: string,
  { tensors }: Model,
  tasks: number,
  dtype: "float32" | "float16",
  base: ReadonlyMap<string, Float32Array> | undefined,
): Promise<void> {
  const pool = normalPool();
  const specs = tensors.flatMap(({ name, shape }) => [
    { name: `base/${name}`, dtype: "F32", shape },
    { name: `task_vectors/${name}`, dtype: dtype === "float16" ? "F16" : "F32", shape: [tasks, ...shape] },
    ...(dtype === "float16" ? [{ name: `scales/${name}`, dtype: "F32", shape: [tasks] }] : []),
  ]);
  const sizes = new Map(specs.map(({ name, shape }) => [name, shape.reduce((product, dim) => product * dim, 1)]));
  let from = 0;
  const data = (name: string): Float32Array => {
    const isGain = /norm.*\.weight$/i.test(name);
    const isBase = name.startsWith("base/");
    const real = base?.get(name.replace(/^base\//, ""));
    if (real !== undefined) return real;
    const values = new Float32Array(sizes.get(name) ?? 0);
    if (name.startsWith("scales/")) return values.fill(1);
    from = (from + 7919) % POOL;
    const scale = isBase ? WEIGHT_DEVIATION : TASK_VECTOR_DEVIATION;
    for (let i = 0; i < values.length; i++)
      values[i] = (isGain && isBase ? 1 : 0) + scale * (pool[(i + from + (i >> 20)) & (POOL - 1)] ?? 0);
    return values;
  };
  const metadata = {
    format: "adamerge-bundle",
    version: "1",
    fingerprint: "synthetic",
    processing: "none",
    tasks: JSON.stringify(Array.from({ length: tasks }, (_, index) => taskName(index))),
    tensors: JSON.stringify(tensors.map(({ name }) => name)),
  };
  await writeSafetensorsStream(path, specs, data, { metadata });
}

/** What safetensors calls the types of inputs. */
const DTYPES = { uint8: "U8", int32: "I32", float32: "F32", float16: "F16" } as const;

async function writeInputs(path: string, { model, length, vocabulary = 0 }: Tower, size: ProblemSize): Promise<void> {
  const rng = createRng("bench", 1);
  const inputs = [...model.inputs(size.images, length)].map(([name, { shape, dtype }]) => ({
    name,
    dtype: DTYPES[dtype],
    shape,
  }));
  const columns = length ?? 0;
  // More than half of what they are padded to, or they would be padded to less.
  const texts = length === undefined ? 0 : size.images;
  const lengths = Array.from({ length: texts }, () => columns / 2 + 1 + rng.nextInt(columns / 2));
  const isToken = (at: number): boolean => at % columns < (lengths[Math.floor(at / columns)] ?? 0);
  const values = new Map<string, (count: number) => Uint8Array>([
    ["images", (count) => Uint8Array.from({ length: count }, () => rng.nextInt(256))],
    [
      "input_ids",
      (count) =>
        new Uint8Array(
          Int32Array.from({ length: count }, (_, at) => (isToken(at) ? rng.nextInt(vocabulary) : 0)).buffer,
        ),
    ],
    ["attention_mask", (count) => Uint8Array.from({ length: count }, (_, at) => (isToken(at) ? 1 : 0))],
    ["token_type_ids", (count) => new Uint8Array(count)],
  ]);
  const heads = Array.from({ length: size.tasks }, (_, index) => ({
    name: `head/${taskName(index)}`,
    dtype: "F32",
    shape: [size.classes, model.featureSize],
  }));
  await writeSafetensorsStream(path, [...inputs, ...heads], (name) => {
    const input = inputs.find((entry) => entry.name === name);
    const made = values.get(name)?.((input?.shape ?? []).reduce((product, dim) => product * dim, 1));
    if (made !== undefined) return made;
    // Rows of about unit length, as prototypes and text embeddings have.
    return Float32Array.from(
      { length: size.classes * model.featureSize },
      () => rng.nextNormal() / Math.sqrt(model.featureSize),
    );
  });
}

function normalPool(): Float32Array {
  const rng = createRng("bench", 0);
  return Float32Array.from({ length: POOL }, () => rng.nextNormal());
}
