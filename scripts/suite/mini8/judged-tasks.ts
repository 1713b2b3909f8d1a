/** The shipped images of tasks with their heads, as the datasheet judges them. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openDataset } from "../../../dist/data/dataset.js";
import { requireLabels } from "../../../dist/data/examples.js";
import { parsePreprocessing } from "../../../dist/data/image/preprocessing.js";
import { loadHead, loadPixels } from "../../../dist/internal.js";
import type { JudgedTask } from "../judge.js";

export interface JudgedTasksOptions {
  /** Directory with `tasks/<task>`. */
  readonly suiteDir: string;
  /** The tower's directory with `base` and `heads`. */
  readonly towerDir: string;
  readonly featureSize: number;
  readonly tasks: readonly string[];
  readonly split: string;
  readonly logitScale: number;
}

export async function judgedTasks(options: JudgedTasksOptions): Promise<JudgedTask[]> {
  const { suiteDir, towerDir, featureSize, tasks, split, logitScale } = options;
  const preprocessorPath = join(towerDir, "base", "preprocessor_config.json");
  const preprocessing = parsePreprocessing(JSON.parse(await readFile(preprocessorPath, "utf8")), preprocessorPath);
  const judged: JudgedTask[] = [];
  for (const task of tasks) {
    const dataset = await openDataset({
      kind: "image",
      path: join(suiteDir, "tasks", task),
      split,
      where: `task ${task}`,
    });
    const examples = requireLabels(await loadPixels(dataset, preprocessing), `task ${task}`);
    const classes = examples.classes?.length ?? 0;
    const path = join(towerDir, "heads", `${task}.safetensors`);
    judged.push({ head: await loadHead(path, { task, classes, featureSize, logitScale }), examples });
  }
  return judged;
}
