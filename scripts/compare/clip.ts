/**
 * `compare clip`: CLIP by transformers (`clip-towers.py`) and by us, at the published sizes with random weights: tokens of every prompt of a suite,
 * features of images and texts, logits, zero-shot heads. P prompts, B images, E features, C classes.
 */
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { CommandModule } from "yargs";
import { z } from "zod";
import { openCheckpoint } from "../../dist/checkpoint/checkpoint.js";
import { type ZeroShotRecipe, zeroShotOf } from "../../dist/data/head-recipes.js";
import { parsePreprocessing } from "../../dist/data/image/preprocessing.js";
import { openSuite, type SuiteTask } from "../../dist/data/suite.js";
import { createOnnxEngine } from "../../dist/engine/onnx-engine.js";
import type { Engine } from "../../dist/engine/program.js";
import { parseClipConfig } from "../../dist/model/clip/config.js";
import { openClipTexts, openTextTower, textFeatures } from "../../dist/model/clip/text-tower.js";
import { openClipTokenizer } from "../../dist/model/clip/tokenizer.js";
import { clipVisionModel } from "../../dist/model/clip/vision-model.js";
import { createClassifier } from "../../dist/optimize/evaluate.js";
import { classPrompts, zeroShotHeads } from "../../dist/run/heads/zero-shot-heads.js";
import { modelWeights } from "../../dist/run/suite/stored-weights.js";
import { findPython } from "./find-python.js";
import { finish } from "./finish.js";

const ROOT = join(import.meta.dirname, "..", "..");
const SCRIPT = join(import.meta.dirname, "clip-towers.py");
/** What is asked, in absolute terms. */
const MOST_FEATURES = 1e-4;
const MOST_LOGITS = 1e-4;
const MOST_HEADS = 1e-5;
const CONTEXT = 77;
/** Of the context's whole length, which no prompt of a suite has. */
const LONG_PROMPT = `a photo of ${"very ".repeat(100)}long`;

const SIZES = ["b32", "b16", "l14"] as const;

interface ClipArguments {
  readonly python: string | undefined;
  readonly suite: string;
  readonly sizes: readonly string[];
  readonly heads: readonly string[] | undefined;
  readonly prompts: number;
  readonly threads: number;
  readonly json: string | undefined;
}

export const clipCommand: CommandModule<object, ClipArguments> = {
  command: "clip",
  describe: "CLIP by transformers and by us at the published sizes: tokens, features, logits, zero-shot heads",
  builder: (yargs) =>
    yargs
      .option("python", { type: "string", describe: "A Python with transformers (default: python3)" })
      .option("suite", {
        type: "string",
        default: join(ROOT, "datasets", "clip", "vit-b32-20.yaml"),
        describe: "The suite whose zero-shot heads give the prompts",
      })
      .option("sizes", { type: "array", string: true, choices: SIZES, default: [...SIZES], describe: "Sizes" })
      .option("heads", { type: "array", string: true, describe: "Tasks whose heads are compared (default: all)" })
      .option("prompts", { type: "number", default: 256, describe: "Texts whose features are compared" })
      .option("threads", { type: "number", default: availableParallelism(), describe: "Threads of each" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => finish(await compare(options), options.json),
};

interface Described {
  readonly task: SuiteTask;
  readonly recipe: ZeroShotRecipe;
}

interface Place {
  readonly python: string;
  readonly folder: string;
  readonly threads: number;
}

async function compare({ python: asked, suite: path, sizes, heads, prompts: count, threads, json: _ }: ClipArguments) {
  const python = findPython(asked, {
    modules: ["torch", "transformers", "safetensors", "open_clip"],
    packages: ["torch", "transformers", "safetensors", "open-clip-torch"],
    target: "clip",
  });
  const suite = await openSuite(resolve(path));
  const described = suite.tasks.flatMap((task): Described[] => {
    const recipe = zeroShotOf(task.head);
    return recipe === undefined ? [] : [{ task, recipe }];
  });
  const all = [...new Set(described.flatMap(({ task, recipe }) => classPrompts(task, recipe).flat()))];
  const step = Math.max(1, Math.floor(all.length / count));
  const prompts = [...all.filter((_prompt, index) => index % step === 0), LONG_PROMPT];
  const compared = described.filter(({ task }) => heads?.includes(task.name) ?? true);
  const folder = await mkdtemp(join(tmpdir(), "adamerge-compare-"));
  try {
    const place: Place = { python: python.command, folder, threads };
    const tokens = await compareTokens(place, all);
    const towers: Record<string, Awaited<ReturnType<typeof compareModel>>> = {};
    for (const size of sizes) {
      towers[size] = await compareModel({ ...place, folder: join(folder, size) }, size, prompts, compared);
      process.stderr.write(`${size}: ${JSON.stringify(towers[size])}\n`);
      // One model of gigabytes at a time.
      await rm(join(folder, size), { recursive: true, force: true });
    }
    const as_asked = tokens.different === 0 && Object.values(towers).every((tower) => tower.as_asked);
    return { versions: python.versions, suite: suite.name, tasks: described.length, tokens, towers, as_asked };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function runPython({ python, threads }: Place, args: readonly string[]): void {
  const env = { ...process.env, OMP_NUM_THREADS: String(threads), HF_HUB_OFFLINE: "1" };
  execFileSync(python, [SCRIPT, ...args], { stdio: ["ignore", "inherit", "inherit"], env });
}

async function compareTokens(place: Place, prompts: readonly string[]) {
  await writeFile(join(place.folder, "prompts.json"), JSON.stringify(prompts));
  runPython(place, ["tokens", place.folder]);
  const schema = z.object({ texts: z.array(z.string()), tokens: z.array(z.array(z.number())) });
  const golden = schema.parse(JSON.parse(await readFile(join(place.folder, "tokens.json"), "utf8")));
  const different = new Set<string>();
  for (const form of ["single", "old"]) {
    const tokenizer = await openClipTokenizer(join(place.folder, form), CONTEXT);
    const found = await tokenizer.encode(golden.texts);
    for (const [index, text] of golden.texts.entries())
      if (found[index]?.join() !== golden.tokens[index]?.join()) different.add(text);
  }
  return {
    prompts: prompts.length,
    random_texts: golden.texts.length - prompts.length,
    different: different.size,
    examples: [...different].slice(0, 5),
  };
}

async function compareModel(place: Place, size: string, prompts: readonly string[], described: readonly Described[]) {
  const { folder, threads } = place;
  await mkdir(folder);
  const heads = Object.fromEntries(
    described.map(({ task, recipe }) => [
      task.name,
      { templates: recipe.templates, names: recipe.names ?? task.classes },
    ]),
  );
  await writeFile(join(folder, "wanted.json"), JSON.stringify({ prompts, heads }));
  const pythonStart = performance.now();
  runPython(place, ["model", folder, size]);
  const pythonSeconds = Math.round((performance.now() - pythonStart) / 1000);
  const expected = await openCheckpoint(join(folder, "expected.safetensors"));
  const engine = createOnnxEngine({ provider: "cpu", threads });
  const start = performance.now();
  try {
    const found = await ourFeatures(engine, folder, prompts);
    const difference = async (name: string, values: Float32Array) =>
      largestDifference(values, await expected.readFloat32(name));
    const report = {
      text_features: await difference("text_features", found.textsPE),
      image_features: await difference("image_features", found.imagesBE),
      logits: await difference("logits", found.logitsBP),
      // float64: how far either program is from what is true.
      ...(await againstDouble(expected, found)),
      heads: await compareHeads(engine, folder, described, expected),
      seconds: { transformers: pythonSeconds, ours: Math.round((performance.now() - start) / 1000) },
    };
    const isAsked =
      report.text_features < MOST_FEATURES &&
      report.image_features < MOST_FEATURES &&
      report.logits < MOST_LOGITS &&
      Object.values(report.heads).every((head) => head < MOST_HEADS);
    return { ...report, as_asked: isAsked };
  } finally {
    await engine.close();
  }
}

interface Found {
  readonly textsPE: Float32Array;
  readonly imagesBE: Float32Array;
  readonly logitsBP: Float32Array;
}

async function ourFeatures(engine: Engine, folder: string, prompts: readonly string[]): Promise<Found> {
  const model = join(folder, "model");
  const tower = await openTextTower(model);
  const textsPE = await textFeatures(engine, tower, await tower.tokenizer.encode(prompts), {});
  const base = await openCheckpoint(model);
  const config = parseClipConfig(base.config, model);
  const size = config.projectionSize;
  const identity = Float32Array.from({ length: size * size }, (_value, index) => (index % (size + 1) === 0 ? 1 : 0));
  const headOf = (task: string, weight: Float32Array, logitScale: number) => {
    const classes = weight.length / size;
    return { task, classes, featureSize: size, logitScale, weight, bias: new Float32Array(classes) };
  };
  const heads = [headOf("features", identity, 1), headOf("texts", textsPE, tower.logitScale ?? Number.NaN)];
  const imagesBHWC = new Uint8Array(await readFile(join(folder, "pixels.bin")));
  const batchSize = imagesBHWC.length / (config.imageSize * config.imageSize * config.channels);
  const normalization = parsePreprocessing(
    JSON.parse(await readFile(join(model, "preprocessor_config.json"), "utf8")),
    model,
  );
  const vision = clipVisionModel(config, normalization);
  const classifier = await createClassifier(engine, { model: vision, heads, batchSize });
  await classifier.setWeights(await modelWeights(base, base, vision));
  const logits = await classifier.logits(new Map([["images", imagesBHWC]]));
  await classifier.close();
  const columns = size + prompts.length;
  const part = (from: number, to: number) =>
    logits.filter((_value, index) => index % columns >= from && index % columns < to);
  return { textsPE, imagesBE: part(0, size), logitsBP: part(size, columns) };
}

/** Ours and transformers' float32 against transformers in float64, on the prompts that were computed so. */
async function againstDouble(expected: Awaited<ReturnType<typeof openCheckpoint>>, found: Found) {
  const texts = await expected.readFloat32("text_features_f64");
  const logits = await expected.readFloat32("logits_f64");
  const [images = 1, columns = 1] = expected.tensors.get("logits")?.shape ?? [];
  const doubles = logits.length / images;
  const firstColumns = (values: Float32Array) => values.filter((_value, index) => index % columns < doubles);
  return {
    logits_to_float64: {
      ours: largestDifference(firstColumns(found.logitsBP), logits),
      transformers: largestDifference(firstColumns(await expected.readFloat32("logits")), logits),
    },
    text_features_to_float64: {
      ours: largestDifference(found.textsPE.subarray(0, texts.length), texts),
      transformers: largestDifference((await expected.readFloat32("text_features")).subarray(0, texts.length), texts),
    },
  };
}

async function compareHeads(
  engine: Engine,
  folder: string,
  described: readonly Described[],
  expected: Awaited<ReturnType<typeof openCheckpoint>>,
): Promise<Readonly<Record<string, number>>> {
  const [, featureSize = 0] = expected.tensors.get("text_features")?.shape ?? [];
  const heads = await zeroShotHeads(
    described,
    {
      textModel: join(folder, "model"),
      openTexts: openClipTexts,
      featureSize,
      logitScale: undefined,
      cacheDir: join(folder, "cache"),
      detail: (line) => void process.stderr.write(`${line}\n`),
    },
    async () => engine,
  );
  const differences: [string, number][] = [];
  for (const [name, { weight }] of heads)
    differences.push([name, largestDifference(weight, await expected.readFloat32(`head.${name}`))]);
  return Object.fromEntries(differences);
}

/** Largest absolute difference; NaN if there is one, or if the lengths differ. */
function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Number.NaN;
  let most = 0;
  for (let index = 0; index < a.length; index++) {
    const difference = Math.abs((a[index] ?? Number.NaN) - (b[index] ?? Number.NaN));
    if (Number.isNaN(difference)) return difference;
    most = Math.max(most, difference);
  }
  return most;
}
