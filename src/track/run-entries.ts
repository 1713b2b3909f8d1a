/**
 * What in the folder of a run is the run's: the names that it writes, and in folders of these names the files. Overwriting a run removes these and
 * nothing else; what a person put beside them stays, and what a person put in their places, or changed, is refused by name.
 */
import { lstat, mkdir, open, readdir, readFile, readlink, rename, rm } from "node:fs/promises";
import path from "node:path";
import { formerCheckpoint } from "../checkpoint/former-checkpoint.js";
import { ConfigError } from "../errors.js";
import { changedFiles, MANIFEST, ownFiles, removeOwnFiles } from "../runtime/own-files.js";
import { isCheckpointFile } from "./checkpoints.js";

/** Those that people read and may write into: noted when a run is closed, so that a change is seen. */
export const DOCUMENTS = [
  "config.yaml",
  "environment.json",
  "coefficients.json",
  "predictions.json",
  "summary.json",
  "README.md",
] as const;
const FILES = [
  ...DOCUMENTS,
  "metrics.jsonl",
  "trajectory.jsonl",
  "mlflow.json",
  "task-vectors.json",
  "examples.json",
  "judged.json",
  "report.html",
  "status.json",
  // Of a fine-tuning that has not finished.
  "state.safetensors",
  "best.safetensors",
  "start-head.safetensors",
] as const;
const FIGURE =
  /^(?:accuracy|change|coefficients|confusion|depth|entropy-and-loss|gradient-cosine|held-out|learning-rate|objective|task-vectors|training-loss|trajectories)\.(?:svg|png)$/;
/** Whether a file in a folder of this name is the run's; its path below that folder. */
const FOLDERS: ReadonlyMap<string, (name: string) => boolean> = new Map([
  ["checkpoints", isCheckpointFile],
  ["figures", (name) => FIGURE.test(name)],
]);
/** Folders of saved models, each with a manifest of what is in it. */
const MODELS: readonly string[] = ["model", "adapter", "classifier"];
const MAX_NAMED = 5;

/** Throws ConfigError unless `folder` is a real folder, or nothing. */
export async function requireRealFolder(folder: string): Promise<void> {
  const found = await lstat(folder).catch(() => undefined);
  if (found === undefined || found.isDirectory()) return;
  const kind = found.isSymbolicLink() ? `a link to ${await readlink(folder)}` : "a file";
  throw new ConfigError(
    `${folder}: expected the folder of a run or a new name, found ${kind}; give another name= or output=`,
  );
}

/** Throws ConfigError when something that a run would write lies in a folder that holds no run. */
export async function requireNoStranger(folder: string): Promise<void> {
  const entries: string[] = await readdir(folder).catch(() => []);
  const names: readonly string[] = [...FILES, ...FOLDERS.keys(), ...MODELS];
  const taken = entries.filter((name) => names.includes(name));
  if (taken.length === 0 || entries.includes("status.json")) return;
  throw new ConfigError(
    `${folder}: expected a new folder or one of a run (with a status.json), found one that is no run's and has ${listed(taken)}, which a run would replace; give another name=, experiment= or output=`,
  );
}

/** The run's own files in `folder`, by path. Throws ConfigError naming what is not as a run leaves it. */
export async function ownRunFiles(folder: string): Promise<readonly string[]> {
  const own: string[] = [];
  const foreign: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const { name } = entry;
    const isOwnFolder = FOLDERS.has(name) || MODELS.includes(name);
    if (!isOwnFolder && !FILES.some((file) => file === name)) continue;
    if (!isOwnFolder) (entry.isFile() ? own : foreign).push(name);
    else if (!entry.isDirectory()) foreign.push(name);
    else {
      const below = path.join(folder, name);
      const recognise = MODELS.includes(name) ? await formerCheckpoint(below) : FOLDERS.get(name);
      const found = await ownFiles(below, recognise);
      own.push(...found.own.map((file) => `${name}/${file}`));
      foreign.push(...found.foreign.map((file) => `${name}/${file}`));
    }
  }
  foreign.push(...(await changedFiles(folder)).map((name) => `${name} (changed since it was written)`));
  if (!(await isRun(folder))) foreign.push("a status.json that is no run's");
  if (foreign.length === 0) return own;
  throw new ConfigError(
    `${folder}: expected only what a run writes in the places that overwriting clears, found ${listed(foreign)}. Nothing was removed; move what you need (or delete the folder yourself), or give another name=`,
  );
}

/** Removes the run's own files: first they are moved aside together, so that no half of a run is ever in its place. */
export async function removeRun(folder: string, own: readonly string[]): Promise<void> {
  const aside = path.join(folder, `.replaced-${process.pid}-${Date.now()}`);
  await mkdir(aside);
  await rm(path.join(folder, MANIFEST), { force: true });
  for (const name of new Set(own.map((file) => file.split("/")[0] ?? file)))
    await rename(path.join(folder, name), path.join(aside, name));
  await removeOwnFiles(aside, own);
}

/** A status that says how a run stands; one that was cut off by a crash counts, when its config is beside it. */
async function isRun(folder: string): Promise<boolean> {
  try {
    const status: unknown = JSON.parse(await readFile(path.join(folder, "status.json"), "utf8"));
    return typeof status === "object" && status !== null && "state" in status && "started" in status;
  } catch {
    const config = await open(path.join(folder, "config.yaml")).catch(() => undefined);
    await config?.close();
    return config !== undefined;
  }
}

function listed(names: readonly string[]): string {
  const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : "";
  return `${names.slice(0, MAX_NAMED).join(", ")}${more}`;
}
