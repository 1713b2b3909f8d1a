/**
 * Heads of tasks that have no classifier but labelled examples: class prototypes (model/prototypes.ts) from the features of the task's expert, or
 * of the base. Built once and kept under `<cache>/heads`, named by the hash of what went in: weights, examples, labels, classes. The
 * labels of that split then are in the head: accuracy on the same split would be flattered, and is warned of. E features, N examples.
 */
import type { Checkpoint } from "../../checkpoint/checkpoint.js";
import type { LabelledExamples } from "../../data/examples.js";
import type { PrototypesRecipe } from "../../data/head-recipes.js";
import { kindOf } from "../../data/kinds.js";
import type { SuiteTask } from "../../data/suite.js";
import type { Engine } from "../../engine/program.js";
import { DataError } from "../../errors.js";
import type { Model } from "../../model/family.js";
import type { Head } from "../../model/heads.js";
import { openExpert } from "../../model/open-models.js";
import { classPrototypes } from "../../model/prototypes.js";
import { inParts, type OnProgress } from "../../runtime/progress.js";
import { modelWeights, weightHashes } from "../suite/stored-weights.js";
import { exampleFeatures } from "./example-features.js";
import { keepHead, keptHeadPath, readKeptHead } from "./head-cache.js";

/** Part of every key: raise it when other prototypes come from the same files. */
const VERSION = 1;

/** What the features of a suite's examples depend on, but for weights and examples. */
export interface PrototypeContext {
  readonly base: Checkpoint;
  readonly model: Model;
  /** The suite's, for a head whose own cannot be fitted: one example per class. */
  readonly logitScale: number | undefined;
  readonly cacheDir: string;
  readonly onProgress?: OnProgress | undefined;
  readonly detail: (line: string) => void;
}

export interface PrototypeTask {
  readonly task: SuiteTask;
  readonly recipe: PrototypesRecipe;
  /** The examples of the recipe's split, uncorrupted. */
  readonly examples: LabelledExamples;
}

/**
 * The head of one task, from the cache if it is there. Throws DataError for a class without an example, and when no class has two to fit the
 * logit scale on.
 */
export async function prototypeHead(
  { task, recipe, examples }: PrototypeTask,
  { base, model, logitScale, cacheDir, detail, onProgress }: PrototypeContext,
  engine: () => Promise<Engine>,
): Promise<Head> {
  requireEveryClass(task, examples);
  const own = recipe.model === "base" ? base : await openExpert(task.expert, base);
  const facts = [VERSION, recipe.model, ...model.facts, logitScale ?? null, task.classes];
  const contents = [examples.fingerprint, [...examples.labels], await weightHashes(own, base, model)];
  const path = keptHeadPath(cacheDir, [...facts, ...contents]);
  const shape = { task: task.name, classes: task.classes.length, featureSize: model.featureSize };
  const kept = await readKeptHead(path, shape);
  if (kept !== undefined) return kept;
  detail(
    `head of ${task.name}: prototypes of ${examples.size} labelled ${kindOf(examples.kind).many} (${examples.name}, features of the ${recipe.model})`,
  );
  const weights = await modelWeights(own, base, model);
  const featuresNE = await inParts(
    onProgress,
    { what: `making the head of ${task.name}`, total: examples.size, unit: kindOf(examples.kind).many },
    async (onExamples) => exampleFeatures(await engine(), model, weights, examples, onExamples),
  );
  const make = (scale?: number) => classPrototypes(featuresNE, examples.labels, task.classes.length, scale);
  const made = make() ?? (logitScale === undefined ? undefined : make(logitScale));
  if (made === undefined)
    throw new DataError(
      `task ${task.name}: ${examples.name}: expected a class with at least 2 ${kindOf(examples.kind).many} to fit the head's logit scale on, found 1 ${kindOf(examples.kind).one} per class; add ${kindOf(examples.kind).many}, or set logit_scale in the suite's file`,
    );
  return keepHead(path, { ...shape, logitScale: made.logitScale, weight: made.weightCE, bias: made.biasC });
}

function requireEveryClass(task: SuiteTask, { kind, labels, name }: LabelledExamples): void {
  const seen = new Set(labels);
  const empty = task.classes.filter((_, label) => !seen.has(label));
  if (empty.length === 0) return;
  throw new DataError(
    `task ${task.name}: ${name}: expected ${kindOf(kind).some} of every class for the head's prototypes, found none of ${empty.slice(0, 5).join(", ")}${empty.length > 5 ? ` and ${empty.length - 5} more` : ""}; add ${kindOf(kind).many} of them, or take the prototypes from another split (head.prototypes.split)`,
  );
}
