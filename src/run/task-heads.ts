/** The frozen classifiers of a suite's tasks: read from files, or made as suite.yaml says. */
import type { RunConfig } from "../config/schema.js";
import { openDataset } from "../data/dataset.js";
import { type PrototypesRecipe, prototypesOf } from "../data/head-recipes.js";
import { loadPixels, requireLabels } from "../data/pixels.js";
import type { SuiteTask } from "../data/suite.js";
import { ConfigError } from "../errors.js";
import { type Head, loadHead } from "../model/heads.js";
import type { InputOptions, Inputs } from "./inputs.js";
import { type PrototypeTask, prototypeHeads } from "./prototype-heads.js";
import { taskDataset } from "./suite-sources.js";

/** Heads by task. Throws what reading and making them throws: CheckpointError, DataError. */
export async function loadHeads(
  config: RunConfig,
  tasks: readonly SuiteTask[],
  context: Pick<Inputs, "suite" | "base" | "tower" | "preprocessing" | "hub">,
  { cacheDir, log }: Pick<InputOptions, "cacheDir" | "log">,
): Promise<Map<string, Head>> {
  const { suite, base, tower, preprocessing } = context;
  const { logitScale } = suite;
  const heads = new Map<string, Head>();
  const made: PrototypeTask[] = [];
  for (const task of tasks) {
    if (typeof task.head === "string") {
      const shape = { task: task.name, classes: task.classes.length, featureSize: tower.projectionSize };
      heads.set(task.name, await loadHead(task.head, { ...shape, logitScale }));
      continue;
    }
    const recipe = prototypesOf(task.head);
    if (recipe === undefined)
      throw new ConfigError(`task ${task.name}: head.zero_shot: heads of this kind cannot be made yet`);
    else {
      warnOfLabels(config, task, recipe, log);
      made.push({ task, recipe, pixels: await recipePixels(task, recipe, context, cacheDir) });
    }
  }
  const prototypes = await prototypeHeads(config, made, { base, tower, preprocessing, logitScale, cacheDir, log });
  return new Map([...heads, ...prototypes]);
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

/** The images as they are: a corruption is of what the merged model meets, not of what its head was made from. */
async function recipePixels(
  task: SuiteTask,
  { split }: PrototypesRecipe,
  context: Pick<Inputs, "preprocessing" | "hub">,
  cacheDir: string,
) {
  const dataset = await openDataset({ ...(await taskDataset(task, split, context.hub)), classes: task.classes });
  return requireLabels(await loadPixels(dataset, context.preprocessing, { cacheDir }), `task ${task.name}: head`);
}
