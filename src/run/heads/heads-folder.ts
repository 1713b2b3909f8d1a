/**
 * The heads in the folder of a merged model: `heads/<task>.safetensors` (model/head-file.ts), written with the model
 * and listed when it is opened.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { SuiteTask } from "../../data/suite.js";
import { CheckpointError } from "../../errors.js";
import { type HeadNotes, writeHeadFile } from "../../model/head-file.js";
import type { Head } from "../../model/heads.js";
import { systemCode } from "../../runtime/system-error.js";
import type { OpenedSuite } from "../suite/opened-suite.js";

export const HEADS_FOLDER = "heads";
const ENDING = ".safetensors";

interface SavedHeads extends Pick<OpenedSuite, "model" | "suite"> {
  readonly tasks: readonly SuiteTask[];
  /** Of these tasks. */
  readonly heads: readonly Head[];
}

/** A head, whose task is the name of its file, with what the file says besides. */
export interface NamedHead {
  readonly head: Head;
  readonly notes: HeadNotes;
}

/** Writes the heads of the merged tasks. Throws as `writeHeadFile`. */
export async function saveHeads(folder: string, { tasks, heads, model, suite }: SavedHeads): Promise<void> {
  const classesOf = new Map(tasks.map(({ name, classes }) => [name, classes]));
  // A family from outside need not say what it reads; then it reads what it was asked for.
  const [features, { maxLength }] = [model.featureChoice ?? suite.features, suite];
  const named = heads.map((head) => ({ head, notes: { classes: classesOf.get(head.task), features, maxLength } }));
  await writeHeads(folder, named);
}

/** Writes heads into the folder of their model. Throws as `writeHeadFile`. */
export async function writeHeads(folder: string, heads: readonly NamedHead[]): Promise<void> {
  for (const { head, notes } of heads)
    await writeHeadFile(join(folder, HEADS_FOLDER, `${head.task}${ENDING}`), head, notes);
}

/** The head files of a model's folder by task, in the order of their names; none where it has no such folder. */
export async function listHeads(folder: string): Promise<Map<string, string>> {
  const place = join(folder, HEADS_FOLDER);
  const names = await readdir(place).catch((error: unknown) => {
    const code = systemCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw new CheckpointError(`${place}: expected a readable folder of heads (${String(error)})`);
  });
  const own = names.filter((name) => name.endsWith(ENDING) && !name.startsWith("."));
  return new Map(own.toSorted().map((name) => [name.slice(0, -ENDING.length), join(place, name)]));
}
