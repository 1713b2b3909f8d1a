/** Images and experts of the shipped suite as files of a person's own: PNGs in folders, checkpoints under other names. */
import { cp, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openDataset } from "../../src/data/dataset.js";
import { openSuite, type SuiteTask } from "../../src/data/suite.js";
import { createRng, permutation } from "../../src/runtime/rng.js";
import { ROOT } from "./cli.js";

export const MINI8 = join(ROOT, "datasets", "mini8");

export async function mini8Task(name: string): Promise<SuiteTask> {
  const task = (await openSuite(MINI8)).tasks.find((candidate) => candidate.name === name);
  if (task === undefined) throw new Error(`mini8 has no task ${name}`);
  return task;
}

export interface WrittenImage {
  readonly path: string;
  readonly label: string;
}

/**
 * Writes `count` images of a split, drawn by chance and always the same, as files. `fileOf` says where an image goes, relative to
 * `folder`.
 */
export async function writeImages(
  folder: string,
  task: string,
  split: string,
  count: number,
  fileOf: (index: number, label: string) => string,
): Promise<readonly WrittenImage[]> {
  const { dataset: path, classes } = await mini8Task(task);
  const dataset = await openDataset({ kind: "image", path, split, classes, where: task });
  const written: WrittenImage[] = [];
  for (const [index, from] of permutation(dataset.size, createRng("files", task)).subarray(0, count).entries()) {
    const label = classes[dataset.labels?.[from] ?? -1] ?? "";
    const file = fileOf(index, label);
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), await dataset.encoded(from));
    written.push({ path: file, label });
  }
  return written;
}

/** Copies the directory of the base or of an expert. */
export async function copyModel(name: "base" | `experts/${string}`, to: string): Promise<void> {
  await cp(join(MINI8, name), to, { recursive: true });
}
