/** The frozen classifiers of a suite's tasks: read from files, or made as suite.yaml says. */

import type { RunConfig } from "../../config/schema.js";
import { requireLabels } from "../../data/examples.js";
import { isClassifier, type PrototypesRecipe, prototypesOf, zeroShotOf } from "../../data/head-recipes.js";
import type { SuiteTask } from "../../data/suite.js";
import { createEngine } from "../../engine/create-engine.js";
import type { Engine } from "../../engine/program.js";
import { CheckpointError } from "../../errors.js";
import { readClassifier } from "../../model/classifiers.js";
import { familyOf } from "../../model/families.js";
import type { ModelFamily } from "../../model/family.js";
import { type Head, loadHead } from "../../model/heads.js";
import type { TextEmbedder } from "../../model/text-embedder.js";
import type { OnProgress } from "../../runtime/progress.js";
import { type ExampleContext, openExamples } from "../suite/open-examples.js";
import type { OpenedSuite } from "../suite/opened-suite.js";
import { ownTexts, type TextModelOfSuite } from "./own-texts.js";
import { prototypeHead } from "./prototype-heads.js";
import { type ZeroShotTask, zeroShotHeads } from "./zero-shot-heads.js";

interface LoadHeadsOptions {
  readonly cacheDir: string;
  readonly log: (line: string) => void;
  /** Is told what the heads are made of; default: nobody. */
  readonly detail?: (line: string) => void;
  readonly onProgress?: OnProgress;
  /** Stops the making of heads. */
  readonly signal?: AbortSignal;
}

/** Heads by task. Throws what reading and making them throws: CheckpointError, DataError. Starts an engine when a head has to be made. */
export async function loadHeads(
  config: RunConfig,
  tasks: readonly SuiteTask[],
  context: Omit<OpenedSuite, "corruption">,
  { cacheDir, log, detail = () => {}, onProgress, signal }: LoadHeadsOptions,
): Promise<Map<string, Head>> {
  const { suite, base, model } = context;
  const { logitScale } = suite;
  const family = familyOf(base.config, base.path);
  const { featureSize } = model;
  let started: Promise<Engine> | undefined;
  const engine = () => {
    started ??= createEngine(config).then((choice) => choice.engine);
    return started;
  };
  try {
    const textModel = suite.textModel ?? suite.base;
    const zeroShot = tasks.flatMap((task): ZeroShotTask[] => {
      const recipe = zeroShotOf(task.head);
      return recipe === undefined ? [] : [{ task, recipe }];
    });
    const openTexts = (path: string) => openTextModel(family, path, context);
    const zeroShotContext = {
      textModel,
      openTexts,
      usualScale: family.texts?.logitScale,
      featureSize,
      logitScale,
      cacheDir,
      detail,
      onProgress,
      signal,
    };
    const heads = await zeroShotHeads(zeroShot, zeroShotContext, engine);
    for (const task of tasks) {
      const recipe = prototypesOf(task.head);
      const shape = { task: task.name, classes: task.classes.length, featureSize };
      if (typeof task.head === "string") {
        const wanted = { ...shape, logitScale, names: task.classes, features: model.featureChoice };
        heads.set(task.name, await loadHead(task.head, wanted));
      } else if (isClassifier(task.head)) {
        heads.set(task.name, await readClassifier(task.expert, family, shape));
      } else if (recipe !== undefined) {
        warnOfLabels(config, task, recipe, log);
        const examples = await recipeExamples(task, recipe, context, cacheDir, signal);
        const made = { base, model, logitScale, cacheDir, detail, onProgress };
        heads.set(task.name, await prototypeHead({ task, recipe, examples }, made, engine));
      }
    }
    return heads;
  } finally {
    await (await started)?.close();
  }
}

/** What embeds texts for the zero-shot heads of a family. Throws CheckpointError for a family that embeds no texts. */
export async function openTextModel(
  { texts, title }: ModelFamily,
  path: string,
  own: TextModelOfSuite,
): Promise<TextEmbedder> {
  if (texts?.open !== undefined) return texts.open(path);
  if (texts !== undefined) return ownTexts(own);
  throw new CheckpointError(
    `${path}: expected a model that embeds texts for zero-shot heads, found a base of the kind ${title}, which embeds none; give the files of stored heads, or prototypes`,
  );
}

/** Labels that are in the head flatter accuracy on their split. */
function warnOfLabels(
  { data }: RunConfig,
  { name }: SuiteTask,
  { split }: PrototypesRecipe,
  log: (line: string) => void,
): void {
  if (split === data.eval_split)
    log(
      `warning: the head of ${name} is made from the labels of split ${split}, which is judged too: its accuracy will look better than it is; take head.prototypes.split and data.eval_split apart`,
    );
}

/** The examples as they are: a corruption is of what the merged model meets, not of what its head was made from. */
async function recipeExamples(
  task: SuiteTask,
  { split }: PrototypesRecipe,
  { suite, encoder, hub, cacheBytes, notice }: ExampleContext,
  cacheDir: string,
  signal: AbortSignal | undefined,
) {
  const { classes } = task;
  const plain = { suite, encoder, hub, cacheBytes, notice };
  return requireLabels(
    await openExamples(plain, task, split, { cacheDir, signal, classes }),
    `task ${task.name}: head`,
  );
}
