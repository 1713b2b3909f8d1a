/**
 * Heads of tasks that have no classifier but labelled images: class prototypes (model/prototypes.ts) from the features of the task's expert, or
 * of the base. Built once and kept under `<cache>/heads`, named by the hash of what went in: weights, images, labels, classes. The
 * labels of that split then are in the head: accuracy on the same split would be flattered, and is warned of. E features, N images.
 */
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import type { PrototypesRecipe } from "../data/head-recipes.js";
import type { LabelledPixels } from "../data/pixels.js";
import type { Preprocessing } from "../data/preprocessing.js";
import type { SuiteTask } from "../data/suite.js";
import type { Engine } from "../engine/program.js";
import { DataError } from "../errors.js";
import type { ClipVisionConfig } from "../model/clip-config.js";
import { openExpert } from "../model/clip-models.js";
import type { Head } from "../model/heads.js";
import { classPrototypes } from "../model/prototypes.js";
import { createClassifier } from "../optimize/evaluate.js";
import { keepHead, keptHeadPath, readKeptHead } from "./kept-heads.js";
import { towerWeights, weightHashes } from "./tower-weights.js";

/** Part of every key: raise it when other prototypes come from the same files. */
const VERSION = 1;
/** Images per forward: enough for the cores, little memory for the largest tower. */
const FEATURE_BATCH = 64;

/** What the features of a suite's images depend on, but for weights and images. */
export interface PrototypeContext {
  readonly base: Checkpoint;
  readonly tower: ClipVisionConfig;
  readonly preprocessing: Preprocessing;
  /** The suite's, for a head whose own cannot be fitted: one image per class. */
  readonly logitScale: number | undefined;
  readonly cacheDir: string;
  readonly log: (line: string) => void;
}

export interface PrototypeTask {
  readonly task: SuiteTask;
  readonly recipe: PrototypesRecipe;
  /** The images of the recipe's split, uncorrupted. */
  readonly pixels: LabelledPixels;
}

/**
 * The head of one task, from the cache if it is there. Throws DataError for a class without an image, and when no class has two images to fit the
 * logit scale on.
 */
export async function prototypeHead(
  { task, recipe, pixels }: PrototypeTask,
  { base, tower, preprocessing, logitScale, cacheDir, log }: PrototypeContext,
  engine: () => Promise<Engine>,
): Promise<Head> {
  requireEveryClass(task, pixels);
  const own = recipe.model === "base" ? base : await openExpert(task.expert, base);
  const facts = [VERSION, recipe.model, tower, preprocessing, logitScale ?? null, task.classes];
  const contents = [pixels.fingerprint, [...pixels.labels], await weightHashes(own, base, tower)];
  const path = keptHeadPath(cacheDir, [...facts, ...contents]);
  const shape = { task: task.name, classes: task.classes.length, featureSize: tower.projectionSize };
  const kept = await readKeptHead(path, shape);
  if (kept !== undefined) return kept;
  log(
    `head of ${task.name}: prototypes of ${pixels.size} labelled images (${pixels.name}, features of the ${recipe.model})`,
  );
  const weights = await towerWeights(own, base, tower);
  const featuresNE = await imageFeatures(await engine(), { tower, preprocessing }, weights, pixels);
  const make = (scale?: number) => classPrototypes(featuresNE, pixels.labels, task.classes.length, scale);
  const made = make() ?? (logitScale === undefined ? undefined : make(logitScale));
  if (made === undefined)
    throw new DataError(
      `task ${task.name}: ${pixels.name}: expected a class with at least 2 images to fit the head's logit scale on, found 1 image per class; add images, or set logit_scale in the suite's file`,
    );
  return keepHead(path, { ...shape, logitScale: made.logitScale, weight: made.weightCE, bias: made.biasC });
}

function requireEveryClass(task: SuiteTask, { labels, name }: LabelledPixels): void {
  const seen = new Set(labels);
  const empty = task.classes.filter((_, label) => !seen.has(label));
  if (empty.length === 0) return;
  throw new DataError(
    `task ${task.name}: ${name}: expected an image of every class for the head's prototypes, found none of ${empty.slice(0, 5).join(", ")}${empty.length > 5 ? ` and ${empty.length - 5} more` : ""}; add images of them, or take the prototypes from another split (head.prototypes.split)`,
  );
}

/** Normalised features [N, E] of all images: a classifier whose head is the identity returns them as logits. */
async function imageFeatures(
  engine: Engine,
  { tower, preprocessing }: Pick<PrototypeContext, "tower" | "preprocessing">,
  weights: ReadonlyMap<string, Float32Array>,
  pixels: LabelledPixels,
): Promise<Float32Array> {
  const size = tower.projectionSize;
  const weight = new Float32Array(size * size);
  for (let e = 0; e < size; e++) weight[e * size + e] = 1;
  const identity = { classes: size, featureSize: size, logitScale: 1, weight, bias: new Float32Array(size) };
  const task = "features";
  const classifier = await createClassifier(engine, {
    config: tower,
    normalization: preprocessing,
    heads: [{ task, ...identity }],
    batchSize: Math.min(FEATURE_BATCH, pixels.size),
  });
  await classifier.setWeights(weights);
  const featuresNE = await classifier.taskLogits(task, pixels);
  await classifier.close();
  return featuresNE;
}
