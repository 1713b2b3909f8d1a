/**
 * `compare trainer`: experts of `adamerge finetune` beside those of transformers' Trainer (`trainer.py`) with the same
 * settings, of texts and of images, over several seeds: accuracies on the test split, their mean and spread. Neither the
 * order of the examples nor the drawn heads are the same, so that the spread is what both are measured by.
 */
import { readFile, writeFile } from "node:fs/promises";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { z } from "zod";
import type { WritableTensor } from "../../dist/checkpoint/safetensors-writer.js";
import { openDataset } from "../../dist/data/dataset.js";
import { requireLabels } from "../../dist/data/examples.js";
import { finetune } from "../../dist/index.js";
import { writeSafetensors } from "../../dist/internal.js";
import { familyOf } from "../../dist/model/families.js";
import { openBase } from "../../dist/model/open-models.js";
import { engineBesidePython } from "./engine-beside-python.js";
import { finish } from "./finish.js";

const ROOT = join(import.meta.dirname, "..", "..");
const SCRIPT = join(import.meta.dirname, "trainer.py");
/** Points between the means: what three seeds cannot tell from nothing. */
const MOST_POINTS = 3;
const SETTINGS = { batch: 32, decay: 0.01, warmupShare: 0.1 } as const;

/** Models and data that ship, with the features that transformers' own classifiers read. */
const PROBLEMS = {
  text: {
    ...{ base: "datasets/text8/base", data: "datasets/text8/tasks/dictionary" },
    ...{ rate: 1e-4, scale: 1, max_length: 32, own: ["features.pooling=pooler", "features.normalize=false"] },
  },
  image: {
    ...{ base: "datasets/mini8/base", data: "datasets/mini8/tasks/earth" },
    ...{ rate: 1e-3, scale: 16, max_length: null, own: [] },
  },
} as const;
type Kind = keyof typeof PROBLEMS;
const KINDS: readonly Kind[] = ["text", "image"];
/** Of mini8's towers. */
const NORMALIZATION = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
/** Splits of the shipped data sets; both train on the first. */
const SPLITS = { train: "adapt", test: "test" } as const;

const trainedSchema = z.array(z.strictObject({ accuracy: z.number(), seconds: z.number() }));
type Trained = z.infer<typeof trainedSchema>;

interface Arguments {
  readonly python: string | undefined;
  readonly kinds: readonly Kind[];
  readonly steps: number;
  readonly seeds: number;
  readonly threads: number;
  readonly json: string | undefined;
}

export const trainerCommand: CommandModule<object, Arguments> = {
  command: "trainer",
  describe: "Experts of `adamerge finetune` and of transformers' Trainer with the same settings, over seeds",
  builder: (yargs) =>
    yargs
      .option("python", { type: "string", describe: "A Python with transformers and accelerate (default: python3)" })
      .option("kinds", { choices: KINDS, array: true, default: KINDS, describe: "MiniLM on texts, mini8's tower" })
      .option("steps", { type: "number", default: 100, describe: "Steps of each expert" })
      .option("seeds", { type: "number", default: 3, describe: "Experts of each" })
      .option("threads", { type: "number", default: availableParallelism(), describe: "Threads of each" })
      .option("json", { type: "string", describe: "Write the figures here" }) as never,
  handler: async (options) => finish(await compare(options), options.json),
};

async function compare({ python: asked, kinds, steps, seeds: count, threads }: Arguments) {
  const packages = ["torch", "transformers", "accelerate", "safetensors"];
  const needs = { asked, modules: packages, packages, target: "trainer", threads };
  return engineBesidePython(needs, async ({ folder, versions, python }) => {
    const seeds = Array.from({ length: count }, (_, seed) => seed);
    const rows = [];
    for (const kind of kinds) {
      const { base, data, rate, scale, max_length } = PROBLEMS[kind];
      const warmup = Math.round(SETTINGS.warmupShare * steps);
      const classes = await writeExamples(kind, folder);
      const plan = { kind, classes, scale, max_length, rate, steps, warmup, threads, seeds, ...SETTINGS };
      await writeFile(join(folder, "plan.json"), JSON.stringify({ ...plan, ...NORMALIZATION }));
      python([SCRIPT, folder, join(ROOT, base)]);
      const theirs = trainedSchema.parse(JSON.parse(await readFile(join(folder, "trained.json"), "utf8")));
      const ours = await trainOurs(kind, { folder, steps, seeds, threads });
      const apart = spreadOf(ours).mean - spreadOf(theirs).mean;
      rows.push({
        ...{ kind, base, data, classes, learning_rate: rate },
        ours: spreadOf(ours),
        trainer: spreadOf(theirs),
        points_apart: round(apart),
        as_asked: Math.abs(apart) <= MOST_POINTS,
      });
    }
    return {
      what: "test accuracy in percent of experts by adamerge finetune and by transformers' Trainer: same base, data, head, AdamW, schedule and steps; other orders of examples and other draws",
      command: `npm run compare -- trainer --python PYTHON --steps ${steps} --seeds ${count} --threads ${threads}`,
      date: new Date().toISOString().slice(0, 10),
      versions,
      load: round(loadavg()[0] ?? 0),
      settings: { ...SETTINGS, steps, schedule: "cosine", clip: 1, dropout: 0, head: "drawn, deviation 0.02" },
      rows,
      asked_at_most_points: MOST_POINTS,
      as_asked: rows.every((row) => row.as_asked),
    };
  });
}

/** Both splits as the other side reads them: texts as they are, images as they are decoded. The number of classes. */
async function writeExamples(kind: Kind, folder: string): Promise<number> {
  const { base, data } = PROBLEMS[kind];
  const { config } = await openBase(join(ROOT, base));
  const { encoder } = await familyOf(config, base).open({ config, folder: join(ROOT, base) });
  const texts: Record<string, { readonly texts: readonly string[]; readonly labels: readonly number[] }> = {};
  const images: WritableTensor[] = [];
  let classes = 0;
  for (const [part, split] of Object.entries(SPLITS)) {
    const dataset = await openDataset({ kind, path: join(ROOT, data), split, where: data });
    const { labels = new Int32Array(), size } = dataset;
    classes = dataset.classes?.length ?? 0;
    if (kind === "text") {
      const decoded: string[] = [];
      for (let index = 0; index < size; index++)
        decoded.push(Buffer.from(await dataset.encoded(index)).toString("utf8"));
      texts[part] = { texts: decoded, labels: [...labels] };
      continue;
    }
    const store = requireLabels(await encoder.open(dataset, {}), data);
    const [pixels = new Uint8Array()] = store.gather(Uint32Array.from({ length: size }, (_, index) => index)).values();
    const side = Math.sqrt(pixels.length / size / 3);
    images.push(
      { name: `${part}/images`, dtype: "U8", shape: [size, side, side, 3], data: bytesOf(pixels) },
      { name: `${part}/labels`, dtype: "I32", shape: [size], data: bytesOf(labels) },
    );
  }
  if (kind === "text") await writeFile(join(folder, "examples.json"), JSON.stringify(texts));
  else await writeSafetensors(join(folder, "examples.safetensors"), images);
  return classes;
}

interface OurTraining {
  readonly folder: string;
  readonly steps: number;
  readonly seeds: readonly number[];
  readonly threads: number;
}

async function trainOurs(kind: Kind, { folder, steps, seeds, threads }: OurTraining): Promise<Trained> {
  const { base, data, rate, scale, max_length, own } = PROBLEMS[kind];
  const trained: Trained = [];
  for (const seed of seeds) {
    const { accuracyPercent, seconds } = await finetune(join(ROOT, base), join(ROOT, data), {
      ...{ output: folder, cacheDir: join(folder, "cache") },
      settings: [
        ...[`name=${kind}-${seed}`, `seed=${seed}`, `steps=${steps}`, `batch_size=${SETTINGS.batch}`],
        ...[`optimizer.learning_rate=${rate}`, `optimizer.weight_decay=${SETTINGS.decay}`],
        ...[`optimizer.warmup=${SETTINGS.warmupShare}`, "head.start=normal", `head.logit_scale=${scale}`],
        ...[`threads=${threads}`, "device=cpu", "eval.every=0", "save_report=false", ...own],
        ...(max_length === null ? [] : [`max_length=${max_length}`]),
      ],
    });
    trained.push({ accuracy: accuracyPercent.test ?? Number.NaN, seconds });
  }
  return trained;
}

/** Mean and standard deviation of the accuracies, and what they are of. */
function spreadOf(trained: Trained) {
  const accuracies = trained.map(({ accuracy }) => accuracy);
  const mean = accuracies.reduce((sum, value) => sum + value, 0) / accuracies.length;
  const squares = accuracies.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    mean: round(mean),
    deviation: round(Math.sqrt(squares / Math.max(1, accuracies.length - 1))),
    accuracies: accuracies.map(round),
    seconds: trained.map(({ seconds }) => round(seconds)),
  };
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function round(value: number): number {
  return Number(value.toFixed(2));
}
