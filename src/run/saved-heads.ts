/**
 * The heads in the folder of a merged model: `heads/<task>.safetensors` (model/head-file.ts), written with the model
 * and listed when it is opened.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError } from "../errors.js";
import { type HeadFile, openHeadFile, writeHeadFile } from "../model/head-file.js";
import { systemCode } from "../runtime/system-error.js";
import type { Inputs } from "./inputs.js";

export const HEADS_FOLDER = "heads";
const ENDING = ".safetensors";

/** Writes the heads of the merged tasks. Throws as `writeHeadFile`. */
export async function saveHeads(
  folder: string,
  { tasks, heads, model, suite }: Pick<Inputs, "tasks" | "heads" | "model" | "suite">,
): Promise<void> {
  const classesOf = new Map(tasks.map(({ name, classes }) => [name, classes]));
  for (const head of heads)
    await writeHeadFile(join(folder, HEADS_FOLDER, `${head.task}${ENDING}`), head, {
      classes: classesOf.get(head.task),
      // A family from outside need not say what it reads; then it reads what it was asked for.
      features: model.featureChoice ?? suite.features,
      maxLength: suite.maxLength,
    });
}

/**
 * The head files of a model's folder by task, in the order of their names; none where it has no such folder. Throws
 * CheckpointError for a file that is no head.
 */
export async function findHeads(
  folder: string,
  wanted: (task: string) => boolean = () => true,
): Promise<Map<string, HeadFile>> {
  const names = await readdir(join(folder, HEADS_FOLDER)).catch((error: unknown) => {
    const code = systemCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw new CheckpointError(`${join(folder, HEADS_FOLDER)}: expected a readable folder of heads (${String(error)})`);
  });
  const heads = new Map<string, HeadFile>();
  for (const name of names.toSorted()) {
    if (!name.endsWith(ENDING) || name.startsWith(".")) continue;
    const task = name.slice(0, -ENDING.length);
    if (wanted(task)) heads.set(task, await openHeadFile(join(folder, HEADS_FOLDER, name)));
  }
  return heads;
}
