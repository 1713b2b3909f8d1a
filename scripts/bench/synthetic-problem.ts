/**
 * A problem of a given size for the benchmarks: a bundle, images and heads of random values, as files that both our engine and
 * PyTorch map. Speed does not depend on the values; they are realistic in scale so that no number overflows or vanishes.
 */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ClipVisionConfig, clipVisionTensors, type Head } from "../../dist/index.js";
import { writeSafetensorsStream } from "../../src/checkpoint/safetensors-writer.js";
import { createRng } from "../../src/runtime/rng.js";
import { SHAPES, type ShapeName } from "./shapes.js";

export interface ProblemSize {
  readonly shape: ShapeName;
  readonly tasks: number;
  /** Images of all tasks together. */
  readonly images: number;
  readonly classes: number;
  /** Of the task vectors in the bundle. */
  readonly dtype?: "float32" | "float16";
}

export interface Problem {
  readonly bundlePath: string;
  /** `images` U8 [B, H, W, C] and `head/<task>` F32 [C, E]. */
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
  const { shape, tasks, images, classes, dtype = "float32" } = size;
  const folder = join(tmpdir(), "adamerge-bench");
  await mkdir(folder, { recursive: true });
  const bundlePath = join(folder, `${shape}-${tasks}${dtype === "float16" ? "-half" : ""}.safetensors`);
  const inputsPath = join(folder, `${shape}-${tasks}-${images}-${classes}.safetensors`);
  if (!existsSync(bundlePath)) await writeBundle(bundlePath, SHAPES[shape], tasks, dtype);
  if (!existsSync(inputsPath)) await writeInputs(inputsPath, SHAPES[shape], size);
  return { bundlePath, inputsPath };
}

/** The heads as our step takes them, from their weights [C, E] by task. */
export function headsOf(
  { projectionSize }: ClipVisionConfig,
  classes: number,
  weights: ReadonlyMap<string, Float32Array>,
): Head[] {
  return [...weights].map(([task, weight]) => ({
    task,
    classes,
    featureSize: projectionSize,
    weight,
    bias: new Float32Array(classes),
    logitScale: 100,
  }));
}

async function writeBundle(
  path: string,
  config: ClipVisionConfig,
  tasks: number,
  dtype: "float32" | "float16",
): Promise<void> {
  const tensors = clipVisionTensors(config);
  const pool = normalPool();
  const specs = tensors.flatMap(({ name, shape }) => [
    { name: `base/${name}`, dtype: "F32", shape },
    { name: `task_vectors/${name}`, dtype: dtype === "float16" ? "F16" : "F32", shape: [tasks, ...shape] },
    ...(dtype === "float16" ? [{ name: `scales/${name}`, dtype: "F32", shape: [tasks] }] : []),
  ]);
  const sizes = new Map(specs.map(({ name, shape }) => [name, shape.reduce((product, dim) => product * dim, 1)]));
  let from = 0;
  const data = (name: string): Float32Array => {
    const isGain = /norm.*\.weight$/.test(name);
    const isBase = name.startsWith("base/");
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

async function writeInputs(path: string, config: ClipVisionConfig, size: ProblemSize): Promise<void> {
  const rng = createRng("bench", 1);
  const { imageSize: side, channels, projectionSize } = config;
  const image = { name: "images", dtype: "U8", shape: [size.images, side, side, channels] };
  const heads = Array.from({ length: size.tasks }, (_, index) => ({
    name: `head/${taskName(index)}`,
    dtype: "F32",
    shape: [size.classes, projectionSize],
  }));
  await writeSafetensorsStream(path, [image, ...heads], (name) => {
    if (name === "images")
      return Uint8Array.from({ length: size.images * side * side * channels }, () => rng.nextInt(256));
    // Rows of about unit length, as prototypes and text embeddings have.
    return Float32Array.from(
      { length: size.classes * projectionSize },
      () => rng.nextNormal() / Math.sqrt(projectionSize),
    );
  });
}

function normalPool(): Float32Array {
  const rng = createRng("bench", 0);
  return Float32Array.from({ length: POOL }, () => rng.nextNormal());
}
