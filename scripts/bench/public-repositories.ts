/**
 * The repositories that a public suite names, in the public layout and at true size, with random values: a whole CLIPModel as the base, vision
 * towers as experts, data sets as parquet with JPEG images. A directory tree for the hub of test/fake-hub.
 */
import { cp, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { saveCheckpoint } from "../../dist/checkpoint/checkpoint.js";
import { parseUri } from "../../dist/checkpoint/hub/reference.js";
import { openSuite, type SuiteTask } from "../../dist/data/suite.js";
import { clipVisionTensors } from "../../dist/internal.js";
import { parseClipTextConfig } from "../../dist/model/clip/config.js";
import { clipTextTensors, tokenTable } from "../../dist/model/clip/text.js";
import { writeFileAtomic } from "../../dist/runtime/atomic-file.js";
import { createRng } from "../../dist/runtime/rng.js";
import { hubParquet } from "../suite/mini8/hub-parquet.js";
import { SHAPES, type ShapeName } from "./shapes.js";

const TOKENIZER = join(import.meta.dirname, "..", "..", "test", "conformance", "clip-tokenizer");
const WEIGHT_DEVIATION = 0.02;
const TASK_VECTOR_DEVIATION = 0.0005;
/** Random values are drawn once and read from changing places, or filling gigabytes would take minutes. */
const POOL = 1 << 20;
const IMAGE_SIDE = 256;

interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Writes everything under `root`; `images` of each split that has a test or training part. */
export async function writePublicRepositories(suitePath: string, root: string, images: number): Promise<void> {
  const suite = await openSuite(suitePath);
  const shape: ShapeName = suite.base.includes("large-patch14") ? "vit-l-14" : "vit-b-32";
  const pool = normalPool();
  await writeBase(repositoryOf(root, "models", suite.base), shape, pool);
  for (const [index, task] of suite.tasks.entries()) {
    await writeExpert(repositoryOf(root, "models", task.expert), shape, pool, index + 1);
    await writeImages(root, task, images, index);
  }
}

function repositoryOf(root: string, kind: "models" | "datasets", uri: string): string {
  const reference = parseUri(uri);
  if (reference === undefined) throw new Error(`${uri}: expected a repository on the hub`);
  return join(root, kind, reference.id);
}

async function writeBase(directory: string, shape: ShapeName, pool: Float32Array): Promise<void> {
  const projection_dim = SHAPES[shape].projectionSize;
  const isLarge = shape === "vit-l-14";
  const text_config = {
    model_type: "clip_text_model",
    vocab_size: 49_408,
    hidden_size: isLarge ? 768 : 512,
    intermediate_size: isLarge ? 3072 : 2048,
    num_attention_heads: isLarge ? 12 : 8,
    num_hidden_layers: 12,
    projection_dim,
  };
  const config = {
    architectures: ["CLIPModel"],
    model_type: "clip",
    projection_dim,
    text_config,
    vision_config: visionConfig(shape),
  };
  const text = parseClipTextConfig(config, directory);
  const scale = { name: "logit_scale", shape: [] };
  const tensors = [...clipVisionTensors(SHAPES[shape]), tokenTable(text), ...clipTextTensors(text), scale];
  const preprocessor = {
    do_resize: true,
    size: 224,
    do_center_crop: true,
    crop_size: 224,
    do_normalize: true,
    image_mean: [0.48145466, 0.4578275, 0.40821073],
    image_std: [0.26862954, 0.26130258, 0.27577711],
    resample: 3,
  };
  await save(directory, { config, preprocessor }, tensors, pool, 0);
  for (const name of await readdir(TOKENIZER)) await cp(join(TOKENIZER, name), join(directory, name));
}

/** As published: the tower without the projection. */
async function writeExpert(directory: string, shape: ShapeName, pool: Float32Array, index: number): Promise<void> {
  const tensors = clipVisionTensors(SHAPES[shape]).filter(({ name }) => name.startsWith("vision_model."));
  const config = { architectures: ["CLIPVisionModel"], ...visionConfig(shape) };
  await save(directory, { config }, tensors, pool, index);
}

function visionConfig(shape: ShapeName): Readonly<Record<string, unknown>> {
  const { hiddenSize, intermediateSize, layers, heads, imageSize, patchSize, projectionSize } = SHAPES[shape];
  return {
    model_type: "clip_vision_model",
    hidden_size: hiddenSize,
    intermediate_size: intermediateSize,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    image_size: imageSize,
    patch_size: patchSize,
    projection_dim: projectionSize,
    hidden_act: "quick_gelu",
  };
}

async function save(
  directory: string,
  files: { readonly config: unknown; readonly preprocessor?: unknown },
  tensors: readonly NamedShape[],
  pool: Float32Array,
  expert: number,
): Promise<void> {
  await mkdir(join(directory, ".."), { recursive: true });
  const shapes = new Map(tensors.map(({ name, shape }, index) => [name, { shape, index }]));
  const data = (name: string): Float32Array => {
    const { shape = [], index = 0 } = shapes.get(name) ?? {};
    const values = new Float32Array(shape.reduce((product, dim) => product * dim, 1));
    if (name === "logit_scale") return values.fill(Math.log(100));
    const isGain = /norm.*\.weight$/.test(name);
    for (let i = 0; i < values.length; i++)
      values[i] =
        (isGain ? 1 : 0) +
        WEIGHT_DEVIATION * (pool[(i + 7919 * index + (i >> 20)) & (POOL - 1)] ?? 0) +
        (expert === 0 ? 0 : TASK_VECTOR_DEVIATION * (pool[(i + 104_729 * expert + (i >> 19)) & (POOL - 1)] ?? 0));
    return values;
  };
  const specs = tensors.map(({ name, shape }) => ({ name, dtype: "F32" as const, shape }));
  await saveCheckpoint(directory, { ...files, specs, data });
}

async function writeImages(root: string, task: SuiteTask, count: number, seed: number): Promise<void> {
  const directory = repositoryOf(root, "datasets", task.dataset);
  const folder = task.reading?.parameters.config ?? "data";
  for (const split of ["train", "test"]) {
    const images: { bytes: Uint8Array; path: string }[] = [];
    for (let index = 0; index < count; index++)
      images.push({ bytes: await randomJpeg(createRng("bench", seed, split, index)), path: `${index}.jpg` });
    const labels = images.map((_, index) => index % task.classes.length);
    const file = hubParquet(images, labels);
    await writeFileAtomic(join(directory, folder, `${split}-00000-of-00001.parquet`), file);
  }
}

/** Blobs of colour, so that it compresses as a photograph does. */
function randomJpeg(rng: ReturnType<typeof createRng>): Promise<Uint8Array> {
  const side = 24;
  const pixels = Uint8Array.from({ length: side * side * 3 }, () => rng.nextInt(256));
  return sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
    .resize(IMAGE_SIDE, IMAGE_SIDE, { kernel: "cubic" })
    .jpeg({ quality: 92 })
    .toBuffer();
}

function normalPool(): Float32Array {
  const rng = createRng("bench", 0);
  return Float32Array.from({ length: POOL }, () => rng.nextNormal());
}
