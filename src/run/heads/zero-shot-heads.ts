/**
 * Zero-shot heads (Radford et al. 2021, section 3.1.2): the row of a class is the mean over templates of the normalised text features of its
 * name in them, at length 1; logits = exp(logit scale) * cosine. Built once and kept under `<cache>/heads`, named by the hash of what went in:
 * the embedding model's weights, the tokens of all prompts, the scale. C classes, P prompts, E features.
 */
import { CLASS_SLOT, type ZeroShotRecipe } from "../../data/head-recipes.js";
import type { SuiteTask } from "../../data/suite.js";
import type { Engine } from "../../engine/program.js";
import { CheckpointError } from "../../errors.js";
import type { Head } from "../../model/heads.js";
import type { TextEmbedder } from "../../model/text-embedder.js";
import type { OnProgress } from "../../runtime/progress.js";
import { keepHead, keptHeadPath, readKeptHead } from "./head-cache.js";

/** Part of every key: raise it when other heads come from the same files. */
const VERSION = 1;

export interface ZeroShotContext {
  /** Folder or file of the model that embeds texts. */
  readonly textModel: string;
  /** Of the family of the base. */
  readonly openTexts: (path: string) => Promise<TextEmbedder>;
  /** The logit scale that its models usually have, for a person. */
  readonly usualScale?: number | undefined;
  /** Of the model. */
  readonly featureSize: number;
  /** The suite's, for a model that was saved without its own. */
  readonly logitScale: number | undefined;
  readonly cacheDir: string;
  readonly onProgress?: OnProgress | undefined;
  readonly detail: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface ZeroShotTask {
  readonly task: Pick<SuiteTask, "name" | "classes">;
  readonly recipe: ZeroShotRecipe;
}

interface Planned extends ZeroShotTask {
  readonly path: string;
  /** Of all classes, one after the other. */
  readonly texts: readonly string[];
  /** Tokens by class and template. */
  readonly promptsC: readonly (readonly (readonly number[])[])[];
}

/**
 * Heads by task, from the cache if they are there. Throws CheckpointError for a model that embeds no texts, with features of another size than the
 * model's, and without a logit scale.
 */
export async function zeroShotHeads(
  tasks: readonly ZeroShotTask[],
  context: ZeroShotContext,
  engine: () => Promise<Engine>,
): Promise<Map<string, Head>> {
  const heads = new Map<string, Head>();
  if (tasks.length === 0) return heads;
  const { featureSize, cacheDir } = context;
  const text = await context.openTexts(context.textModel);
  requireFeatureSize(text, featureSize);
  const logitScale = text.logitScale ?? context.logitScale;
  if (logitScale === undefined)
    throw new CheckpointError(
      `${text.path}: expected the model's logit scale (a tensor logit_scale), found none; set logit_scale in suite.yaml${context.usualScale === undefined ? "" : ` (usually ${context.usualScale})`}`,
    );
  const facts = ["zero-shot", VERSION, ...text.facts, await text.hashes(), logitScale];
  const missing: Planned[] = [];
  for (const { task, recipe } of tasks) {
    const texts = classPrompts(task, recipe);
    const tokens = await text.tokens(texts.flat());
    const { length } = recipe.templates;
    const promptsC = texts.map((_, index) => tokens.slice(index * length, (index + 1) * length));
    const path = keptHeadPath(cacheDir, [...facts, promptsC]);
    const kept = await readKeptHead(path, { task: task.name, classes: task.classes.length, featureSize });
    if (kept === undefined) missing.push({ task, recipe, path, texts: texts.flat(), promptsC });
    else heads.set(task.name, kept);
  }
  if (missing.length === 0) return heads;
  for (const [name, head] of await makeHeads(missing, text, logitScale, context, engine)) heads.set(name, head);
  return heads;
}

/** The prompts of each class, in the order of the templates. */
export function classPrompts(
  { classes }: Pick<SuiteTask, "classes">,
  { templates, names }: ZeroShotRecipe,
): readonly (readonly string[])[] {
  return (names ?? classes).map((name) => templates.map((template) => template.split(CLASS_SLOT).join(name)));
}

function requireFeatureSize({ path, featureSize: found }: TextEmbedder, featureSize: number): void {
  if (found === featureSize) return;
  throw new CheckpointError(
    `${path}: expected text features of the size of the model's, ${featureSize}, found ${found}; name the model that the base belongs to as text_model`,
  );
}

/** All prompts of all tasks go through the tower together, each once. */
async function makeHeads(
  tasks: readonly Planned[],
  text: TextEmbedder,
  logitScale: number,
  { featureSize, detail, onProgress, signal }: ZeroShotContext,
  engine: () => Promise<Engine>,
): Promise<ReadonlyMap<string, Head>> {
  const rows = new Map<string, number>();
  const prompts: string[] = [];
  for (const { task, recipe, texts, promptsC } of tasks) {
    detail(
      `head of ${task.name}: zero-shot, ${task.classes.length} classes x ${recipe.templates.length} templates (texts embedded by ${text.path})`,
    );
    for (const [index, ids] of promptsC.flat().entries()) {
      const key = ids.join();
      if (rows.has(key)) continue;
      rows.set(key, prompts.length);
      prompts.push(texts[index] ?? "");
    }
  }
  const featuresPE = await text.features(await engine(), prompts, { onProgress, signal });
  const featuresOf = (ids: readonly number[]) => {
    const row = rows.get(ids.join()) ?? 0;
    return featuresPE.subarray(row * featureSize, (row + 1) * featureSize);
  };
  const heads = new Map<string, Head>();
  for (const { task, path, promptsC } of tasks) {
    const classes = promptsC.length;
    const weight = new Float32Array(classes * featureSize);
    for (const [c, ofClass] of promptsC.entries()) weight.set(meanDirection(ofClass.map(featuresOf)), c * featureSize);
    const head = { task: task.name, classes, featureSize, logitScale, weight, bias: new Float32Array(classes) };
    heads.set(task.name, await keepHead(path, head));
  }
  return heads;
}

/** The mean of features [E], at length 1. */
function meanDirection(features: readonly Float32Array[]): Float32Array {
  const sums = new Float64Array(features[0]?.length ?? 0);
  for (const feature of features) for (const [e, value] of feature.entries()) sums[e] = (sums[e] ?? 0) + value;
  const length = Math.hypot(...sums);
  return Float32Array.from(sums, (sum) => sum / length);
}
