/**
 * The parts of a suite, each kept once it is finished: base, heads, experts, multi-task model. Everything that is trained
 * goes through `trainPart`, so that everything resumes and is recorded in the same way.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  createRng,
  type Engine,
  type FineTuneAnchors,
  openCheckpoint,
  removeFineTuneState,
  writeSafetensors,
} from "../../../dist/internal.js";
import { writeFileAtomic } from "../../../src/runtime/atomic-file.js";
import type { SuiteRecord } from "../suite-record.js";
import { makeAnchors } from "./anchors.js";
import { chooseLogitScale, entropyShare } from "./logit-scale.js";
import { classPrototypes, drawImages, towerFeatures } from "./prototypes.js";
import { type RawPixels, readRawPixels } from "./raw-pixels.js";
import { EXPERTS, isMirrored, MULTITASK, PRETRAINING, PROTOTYPE_IMAGES, SEED } from "./suite-plan.js";
import { initialWeights, loadTower, saveTower, type Tower } from "./towers.js";
import { type TrainHead, type TrainSettings, type TrainTask, trainTower } from "./train.js";

export interface Workshop {
  readonly engine: Engine;
  readonly tower: Tower;
  /** Directory of the tower's models: base, heads, experts. */
  readonly directory: string;
  /** Prefix of this tower's parts in the record. */
  readonly prefix: string;
  /** Raw pixels of the training splits. */
  readonly pixelsDir: string;
  /** Where unfinished trainings keep their state. */
  readonly stateDir: string;
  readonly record: SuiteRecord;
  readonly log: (line: string) => void;
}

const SCALE_FILE = "logit-scale.json";
/** Entropy shares are recorded at these scales, to show what the chosen one does. */
const SHOWN_SCALES = [1, 2, 5, 10, 20, 50, 100];

interface PartPlan {
  readonly part: string;
  readonly directory: string;
  /** Recorded with the part: a part made with others is not kept. */
  readonly settings: TrainSettings &
    Partial<Readonly<Record<"task" | "seed" | "images" | "randomLabels" | "anchors", unknown>>>;
  readonly start: () => Promise<Map<string, Float32Array>>;
  readonly tasks: () => Promise<TrainTask[]>;
  readonly anchors?: () => Promise<FineTuneAnchors>;
  readonly logitScale: number;
  readonly trainHeads: boolean;
  readonly seed: number;
}

async function trainPart(workshop: Workshop, plan: PartPlan): Promise<void> {
  const name = `${workshop.prefix}${plan.part}`;
  const { tower, record, log, engine } = workshop;
  if (record.has(name, join(plan.directory, "model.safetensors"), plan.settings)) return log(`${name}: kept`);
  const { steps, learningRate, warmupSteps, labelSmoothing } = plan.settings;
  const statePath = join(workshop.stateDir, `${name.replaceAll("/", "-")}.safetensors`);
  await mkdir(workshop.stateDir, { recursive: true });
  const { tensors, seconds, loss } = await trainTower({
    name,
    engine,
    config: tower.config,
    weights: await plan.start(),
    tasks: await plan.tasks(),
    ...{ steps, learningRate, warmupSteps, labelSmoothing },
    logitScale: plan.logitScale,
    trainHeads: plan.trainHeads,
    seed: plan.seed,
    ...(plan.anchors === undefined ? {} : { anchors: await plan.anchors() }),
    ...{ statePath, log },
  });
  await saveTower(plan.directory, tower, tensors);
  await record.add(name, join(plan.directory, "model.safetensors"), { settings: plan.settings, seconds, loss });
  await removeFineTuneState(statePath);
}

const baseDir = (workshop: Workshop): string => join(workshop.directory, "base");
const loadBase = (workshop: Workshop) => loadTower(baseDir(workshop), workshop.tower.config);

/** Pretrains the tower with a trained linear head per source, all sources in every batch. */
export async function makeBase(workshop: Workshop): Promise<void> {
  const { config } = workshop.tower;
  await trainPart(workshop, {
    part: "base",
    directory: baseDir(workshop),
    settings: PRETRAINING,
    start: async () => initialWeights(config, SEED),
    tasks: () =>
      Promise.all(
        PRETRAINING.sources.map(async (name) => {
          const pixels = await readRawPixels(workshop.pixelsDir, name);
          const head = randomHead(name, pixels.classes.length, config.projectionSize);
          return { name, pixels, images: PRETRAINING.imagesPerSource, head };
        }),
      ),
    logitScale: PRETRAINING.logitScale,
    trainHeads: true,
    seed: SEED,
  });
}

function randomHead(name: string, classes: number, size: number): TrainHead {
  const rng = createRng(SEED, "head", name);
  const weight = Float32Array.from({ length: classes * size }, () => size ** -0.5 * rng.nextNormal());
  return { weight, bias: new Float32Array(classes) };
}

/**
 * Heads of all tasks as class prototypes of the base's features, with one logit scale chosen on the merged tasks' training images without
 * their labels. Returns the scale; logit-scale.json keeps it with the entropy at other scales.
 */
export async function makeHeads(
  workshop: Workshop,
  tasks: readonly string[],
  unseen: readonly string[],
): Promise<number> {
  const folder = join(workshop.directory, "heads");
  const scalePath = join(folder, SCALE_FILE);
  if (existsSync(scalePath)) return keptLogitScale(workshop.directory);
  await mkdir(folder, { recursive: true });
  const { engine, tower, pixelsDir, log } = workshop;
  const weights = await loadBase(workshop);
  const heads = [];
  for (const task of [...tasks, ...unseen]) {
    const pixels = drawImages(await readRawPixels(pixelsDir, task), PROTOTYPE_IMAGES, SEED);
    const features = await towerFeatures(engine, tower.config, weights, pixels);
    heads.push({
      task,
      classes: pixels.classes.length,
      ...classPrototypes(features, pixels, tower.config.projectionSize),
    });
  }
  const scores = heads.map(({ task, classes, scoresBC }) => ({ task, classes, scoresNC: scoresBC }));
  const scale = chooseLogitScale(scores.filter(({ task }) => tasks.includes(task)));
  for (const { task, classes, weight, offset } of heads) {
    await writeSafetensors(join(folder, `${task}.safetensors`), [
      { name: "weight", dtype: "F32", shape: [classes, tower.config.projectionSize], data: weight },
      { name: "bias", dtype: "F32", shape: [classes], data: offset.map((value) => value * scale) },
    ]);
  }
  const shown = [...SHOWN_SCALES, scale].sort((a, b) => a - b);
  const shares = scores.map((task) => [task.task, shown.map((at) => Number(entropyShare(task, at).toFixed(3)))]);
  const text = { scale, scales: shown, entropy_share_of_log_classes: Object.fromEntries(shares) };
  await writeFileAtomic(scalePath, `${JSON.stringify(text, undefined, 2)}\n`);
  log(`${workshop.prefix}heads: logit scale ${scale}`);
  return scale;
}

/** The scale that the heads of a tower's directory were made with. */
export async function keptLogitScale(directory: string): Promise<number> {
  return Number(JSON.parse(await readFile(join(directory, "heads", SCALE_FILE), "utf8")).scale);
}

async function readHead(workshop: Workshop, task: string): Promise<TrainHead> {
  const file = await openCheckpoint(join(workshop.directory, "heads", `${task}.safetensors`));
  return { weight: await file.readFloat32("weight"), bias: await file.readFloat32("bias") };
}

export interface ExpertPlan {
  /** Name in the record and below the tower's directory, such as `experts/mnist`. */
  readonly part: string;
  readonly task: string;
  readonly seed: number;
  readonly steps?: number;
  /** Share of the training images whose label is drawn at random. */
  readonly randomLabels?: number;
}

/** One expert: the base fine-tuned on one task under its frozen head. */
export async function makeExpert(workshop: Workshop, logitScale: number, plan: ExpertPlan): Promise<void> {
  const { images, learningRate, labelSmoothing, anchors } = EXPERTS;
  const steps = plan.steps ?? EXPERTS.steps;
  const warmupSteps = Math.min(EXPERTS.warmupSteps, Math.floor(steps / 2));
  const { task, seed, randomLabels = 0 } = plan;
  await trainPart(workshop, {
    part: plan.part,
    directory: join(workshop.directory, plan.part),
    settings: { task, seed, images, steps, learningRate, warmupSteps, labelSmoothing, randomLabels, anchors },
    start: () => loadBase(workshop),
    tasks: async () => {
      const pixels = withRandomLabels(await readRawPixels(workshop.pixelsDir, task), randomLabels, seed);
      return [{ name: task, pixels, images, head: await readHead(workshop, task), mirror: isMirrored(task) }];
    },
    anchors: async () => {
      const { engine, tower, pixelsDir } = workshop;
      const { sources } = PRETRAINING;
      return makeAnchors(engine, tower.config, await loadBase(workshop), {
        ...anchors,
        sources,
        pixelsDir,
        seed: SEED + seed,
      });
    },
    logitScale,
    trainHeads: false,
    seed: SEED + seed,
  });
}

function withRandomLabels(pixels: RawPixels, share: number, seed: number): RawPixels {
  if (share === 0) return pixels;
  const rng = createRng(SEED, "label noise", pixels.name, seed);
  const labels = Int32Array.from({ length: pixels.count }, (_, row) =>
    rng.nextFloat() < share ? rng.nextInt(pixels.classes.length) : (pixels.labels[row] ?? 0),
  );
  return { ...pixels, labels };
}

/** The base fine-tuned on all tasks at once under their frozen heads: the upper reference of merging. */
export async function makeMultitask(workshop: Workshop, logitScale: number, tasks: readonly string[]): Promise<void> {
  await trainPart(workshop, {
    part: "multitask",
    directory: join(workshop.directory, "multitask"),
    settings: MULTITASK,
    start: () => loadBase(workshop),
    tasks: () =>
      Promise.all(
        tasks.map(async (name) => ({
          name,
          pixels: await readRawPixels(workshop.pixelsDir, name),
          images: MULTITASK.imagesPerTask,
          head: await readHead(workshop, name),
          mirror: isMirrored(name),
        })),
      ),
    logitScale,
    trainHeads: false,
    seed: SEED,
  });
}
