/**
 * Where results may be written, asked before any work: an output that is an input, holds one or lies in one is refused, whichever of its names it
 * is given by (links, `..`, other case, mounts: what tells is the file system's own number of each folder), and so is what is
 * there already and not ours. It writes and removes nothing.
 */
import type { BigIntStats } from "node:fs";
import { lstat, readdir, readlink, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { ConfigError } from "../errors.js";
import { MANIFEST, ownFiles, type Recognise } from "./own-files.js";
import { readText } from "./regular-file.js";

/** Something that a command reads. */
export interface Input {
  readonly path: string;
  /** In a sentence: "the model base". */
  readonly what: string;
}

/** Links in an input folder whose targets are inputs too; the folder of a model has some dozens of files, one of images may have millions. */
const MAX_LINKS = 1000;
const MAX_ENTRIES = 10_000;
/** Of tables and scripts that are looked at to know them again. */
const MAX_RESULT_BYTES = 64 * 1024 * 1024;

/**
 * Throws ConfigError when `output` is one of the inputs, holds one, or lies in the folder of one. `shown` is how the output was asked for
 * ("--output x").
 */
export async function requireApart(output: string, shown: string, inputs: readonly Input[]): Promise<void> {
  const target = await chainOf(resolve(output));
  for (const { path, what } of await withLinks(inputs)) {
    const found = await stat(path, { bigint: true }).catch(() => undefined);
    for (const chain of [await chainOf(path), await chainOf(path, { followLast: false })]) {
      const is = chain.path === target.path || (chain.self !== undefined && chain.self === target.self);
      const isHeld = target.self !== undefined && chain.above.includes(target.self);
      const holdsOutput =
        found?.isDirectory() === true && chain.self !== undefined && target.above.includes(chain.self);
      if (!is && !isHeld && !holdsOutput) continue;
      const relation = is ? "is" : isHeld ? "holds" : "lies in";
      throw new ConfigError(
        `${shown}: expected a place apart from what is read, found one that ${relation} ${what} (${path}). Nothing was written; choose another place.`,
      );
    }
  }
}

/** A place as the file system knows it: numbers of itself, if it is there, and of the folders above it. */
interface Chain {
  readonly path: string;
  readonly self: string | undefined;
  readonly above: readonly string[];
}

async function chainOf(path: string, { followLast = true } = {}): Promise<Chain> {
  const real = followLast ? await realOf(path) : join(await realOf(dirname(path)), basename(path));
  const above: string[] = [];
  for (let at = dirname(real); ; at = dirname(at)) {
    const id = await idOf(at);
    if (id !== undefined) above.push(id);
    if (dirname(at) === at) break;
  }
  return { path: real, self: await idOf(real), above };
}

async function idOf(path: string): Promise<string | undefined> {
  const found = await lstat(path, { bigint: true }).catch(() => undefined);
  return found === undefined ? undefined : numberOf(found);
}

function numberOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

/** The path without links; of what is not there, as far as it is. */
async function realOf(path: string): Promise<string> {
  const real = await realpath(path).catch(() => undefined);
  if (real !== undefined) return real;
  const above = dirname(path);
  return above === path ? path : join(await realOf(above), basename(path));
}

/** The inputs, and what links in their folders lead to: the files of a model may lie elsewhere. */
async function withLinks(inputs: readonly Input[]): Promise<Input[]> {
  const all: Input[] = [];
  for (const input of inputs) {
    all.push(input);
    const entries = await readdir(input.path, { withFileTypes: true }).catch(() => []);
    const links = entries.slice(0, MAX_ENTRIES).filter((entry) => entry.isSymbolicLink());
    for (const { name } of links.slice(0, MAX_LINKS)) {
      const target = await realpath(join(input.path, name)).catch(() => undefined);
      if (target !== undefined) all.push({ path: target, what: `${input.what}'s ${name}` });
    }
  }
  return all;
}

export interface FolderRules {
  /** How the folder was asked for: "--output merged". */
  readonly shown: string;
  /** What is read: the output must be apart from it. */
  readonly inputs: readonly Input[];
  /** Whether a former result may be replaced. */
  readonly overwrite: boolean;
  /** Knows results that were written before there were manifests. */
  readonly recognise?: ((folder: string) => Promise<Recognise | undefined>) | undefined;
}

/** Throws ConfigError unless a result may be put at `folder`: a new or empty folder, or with `overwrite` one that holds only what we wrote. */
export async function requireFolderPlace(folder: string, rules: FolderRules): Promise<void> {
  const { shown, inputs, overwrite, recognise } = rules;
  await requireApart(folder, shown, inputs);
  const names = await folderNames(folder, shown);
  if (names.length === 0) return;
  if (!overwrite) {
    throw new ConfigError(
      `${shown}: expected a new or empty folder for the result, found ${countText(names.filter((name) => name !== MANIFEST))}; choose another --output, or --overwrite`,
    );
  }
  await requireOwnFolder(folder, shown, recognise);
}

/** Throws ConfigError when something in `folder` is not ours. */
export async function requireOwnFolder(
  folder: string,
  shown: string,
  recognise?: FolderRules["recognise"],
): Promise<readonly string[]> {
  const { own, foreign } = await ownFiles(folder, await recognise?.(folder));
  if (foreign.length === 0) return own;
  throw new ConfigError(
    `${shown}: expected only files that adamerge wrote, since overwriting removes them, found others: ${foreign.join(", ")}. Nothing was removed; move what you need (or delete the folder yourself), or choose another place.`,
  );
}

/** Names in a real folder, none if it is not there. Throws ConfigError for a link, a file or a device. */
async function folderNames(folder: string, shown: string): Promise<string[]> {
  const kind = await otherThan("folder", folder);
  if (kind !== undefined) {
    throw new ConfigError(`${shown}: expected a folder or a new name, found ${kind}. Nothing was written.`);
  }
  return readdir(folder).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw new ConfigError(
      `${shown}: expected a folder that can be read (${error instanceof Error ? error.message : error}); choose another place`,
    );
  });
}

export interface FileRules {
  /** How the file was asked for: "--output weights.npy". */
  readonly shown: string;
  readonly inputs: readonly Input[];
  /** Whether a file that is there may be replaced. */
  readonly overwrite: boolean;
}

/** Throws ConfigError unless a result may be written to `file`: a new name, or with `overwrite` a regular file, apart from what is read. */
export async function requireFilePlace(file: string, { shown, inputs, overwrite }: FileRules): Promise<void> {
  const kind = await otherThan("file", file);
  if (kind !== undefined) {
    throw new ConfigError(`${shown}: expected a file or a new name, found ${kind}. Nothing was written.`);
  }
  await requireApart(file, shown, inputs);
  if (overwrite || (await lstat(file).catch(() => undefined)) === undefined) return;
  throw new ConfigError(
    `${shown}: expected a new name, found a file. Choose another name, or --overwrite to replace that file.`,
  );
}

/**
 * Throws ConfigError unless the files `names` may be written into `folder`, where an earlier call's are replaced: each is a regular file or not there,
 * and where some are there, so is what shows that they are ours: an entry that `isMark` knows, by its name or by what it holds.
 */
export async function requireResultsPlace(
  folder: string,
  names: readonly string[],
  isMark: (name: string, text: () => Promise<string>) => boolean | Promise<boolean>,
): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found !== undefined && !found.isDirectory())
    throw new ConfigError(`${folder}: expected a folder or a new name, found a file. Nothing was written.`);
  const entries: string[] = await readdir(folder).catch(() => []);
  const taken = names.filter((name) => entries.includes(name));
  const textOf = (name: string) => () =>
    readText(join(folder, name), "a file of results", MAX_RESULT_BYTES, ConfigError).catch(() => "");
  const marks = await Promise.all(entries.map((name) => isMark(name, textOf(name))));
  if (taken.length > 0 && !marks.includes(true))
    throw new ConfigError(
      `${folder}: expected the results of an earlier call, or none, found a folder that is neither and has ${taken.join(", ")}, which would be replaced; choose another --output`,
    );
  for (const name of taken) {
    const kind = await otherThan("file", join(folder, name));
    if (kind !== undefined)
      throw new ConfigError(`${join(folder, name)}: expected a file of ours, found ${kind}. Nothing was written.`);
  }
}

/** What is at `path` instead, in words; undefined if it is what is wanted, or nothing. */
async function otherThan(wanted: "file" | "folder", path: string): Promise<string | undefined> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  if (found.isSymbolicLink()) {
    const target = await readlink(path).catch(() => "somewhere");
    return `a link to ${target}; give the path itself`;
  }
  if (wanted === "folder") return found.isDirectory() ? undefined : found.isFile() ? "a file" : "a device or pipe";
  return found.isFile() ? undefined : found.isDirectory() ? "a folder" : "a device or pipe";
}

function countText(names: readonly string[]): string {
  return `${names.length} entries (${names.slice(0, 3).join(", ")}${names.length > 3 ? ", ..." : ""})`;
}
