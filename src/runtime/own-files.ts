/**
 * What in a folder is ours: a manifest beside the files says which we wrote and by what to know them again. A file that is not in
 * it, or is not as it was written, is somebody else's: it is named, and never removed. Nothing here trusts a name in a manifest:
 * the folder is walked, and what is found is looked up.
 */
import { createHash } from "node:crypto";
import type { BigIntStats, Dirent } from "node:fs";
import { lstat, readdir, rmdir, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { UserError } from "../errors.js";
import { openRegular, readText } from "./regular-file.js";

/** Hidden, so that neither loaders nor deliveries of the folder take it for a part of the model. */
export const MANIFEST = ".adamerge-files.json";

/**
 * Up to this size a file is known by its hash. Larger ones (weights) are known by size and time: hashing them would cost a merge,
 * which is as fast as the disk, as much again.
 */
const MAX_HASHED_BYTES = 16 * 1024 * 1024;
/** A manifest has a line of some 150 bytes for each file; 100,000 files are more than any model has. */
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;
/** Foreign files that are named; a home directory given by mistake has very many. */
const MAX_NAMED = 5;
const READ_BYTES = 1024 * 1024;

const fileSchema = z.strictObject({
  bytes: z.int().min(0),
  /** Nanoseconds since 1970, as text: they are above 2^53. */
  modified: z.string(),
  sha256: z.string().optional(),
  /** Of the making of the folder: it is gone when all went well. */
  passing: z.boolean().optional(),
});
const manifestSchema = z.object({ format: z.literal(1), files: z.array(z.tuple([z.string(), fileSchema])) });

type FileFacts = z.output<typeof fileSchema>;

export interface OwnFiles {
  /** Paths below the folder, with `/`, that we wrote and that are as we left them. */
  readonly own: readonly string[];
  /** The first of what is not ours, in words. */
  readonly foreign: readonly string[];
  /** Whether all is there that the manifest names; without one, whether there is anything. */
  readonly isWhole: boolean;
}

/** Says for a folder without a manifest whether a file in it (its path with `/`), or a folder (with a `/` at its end), is of our writing. */
export type Recognise = (name: string) => boolean;

/** The files of a folder that are ours, where it may hold others too. */
export interface Listed {
  readonly names: readonly string[];
  /** Those that are ours, and will be removed as the last of the work. */
  readonly passing: readonly string[];
}

/** Notes files of `folder` as ours: all, or those that are listed. */
export async function writeManifest(folder: string, listed?: Listed): Promise<void> {
  const found: string[] = [];
  if (listed === undefined)
    await walk(folder, "", async (name, entry) => {
      if (entry.isFile() && name !== MANIFEST) found.push(name);
      return true;
    });
  const files: [string, FileFacts][] = [];
  for (const name of [...(listed?.names ?? found)].sort()) files.push([name, await factsOf(join(folder, name))]);
  for (const name of listed?.passing ?? [])
    files.push([name, { ...(await factsOf(join(folder, name))), passing: true }]);
  const path = join(folder, MANIFEST);
  // Not written through what may lie under this name.
  await unlink(path).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
  await writeFile(path, `${JSON.stringify({ format: 1, files }, undefined, 1)}\n`, { flag: "wx", flush: true });
}

/** The names in the manifest of `folder`, as it says them; undefined without one. */
export async function manifestNames(folder: string): Promise<ReadonlySet<string> | undefined> {
  const manifest = await readManifest(folder);
  return manifest && new Set(manifest.keys());
}

/** Those of the files in the manifest of `folder` that are there and not as we left them; none without a manifest. */
export async function changedFiles(folder: string): Promise<readonly string[]> {
  const changed: string[] = [];
  for (const [name, noted] of (await readManifest(folder)) ?? []) {
    if (name.split("/").includes("..")) continue;
    if (!(await isAsNoted(join(folder, name), noted).catch(isMissing))) changed.push(name);
  }
  return changed;
}

/**
 * What of `folder` is ours, by its manifest, or by `recognise` where it has none. Looks no further than to the first few foreign files. Throws
 * UserError for a manifest that cannot be read.
 */
export async function ownFiles(folder: string, recognise?: Recognise): Promise<OwnFiles> {
  const manifest = await readManifest(folder);
  const own: string[] = [];
  const foreign: string[] = [];
  const judge = async (name: string, entry: Dirent): Promise<string | undefined> => {
    if (name === MANIFEST && manifest !== undefined) return undefined;
    if (entry.isSymbolicLink()) return `${name} (a link)`;
    if (!entry.isFile()) return `${name} (no regular file)`;
    if (manifest === undefined) return recognise?.(name) === true ? undefined : name;
    const noted = manifest.get(name);
    if (noted === undefined) return name;
    return (await isAsNoted(join(folder, name), noted)) ? undefined : `${name} (changed since it was written)`;
  };
  await walk(folder, "", async (name, entry) => {
    if (entry.isDirectory()) {
      const isKnown =
        manifest === undefined
          ? recognise?.(`${name}/`) === true
          : [...manifest.keys()].some((file) => file.startsWith(`${name}/`));
      if (!isKnown) foreign.push(`${name}/`);
      return isKnown && foreign.length < MAX_NAMED;
    }
    const problem = await judge(name, entry);
    if (problem === undefined) own.push(name);
    else foreign.push(problem);
    return foreign.length < MAX_NAMED;
  });
  const found = new Set(own);
  const isWhole = [...(manifest ?? [])].every(([name, { passing }]) => passing === true || found.has(name));
  return { own, foreign, isWhole: isWhole && own.length > 0 };
}

/**
 * Removes the files `own` of `folder`, each only if it is still what the manifest says, then folders that are left empty, itself among them.
 * Returns whether all is gone: what others put there meanwhile stays.
 */
export async function removeOwnFiles(folder: string, own: readonly string[]): Promise<boolean> {
  const manifest = await readManifest(folder);
  const folders = new Set<string>();
  // The manifest goes last: until then a removal that was cut off can be gone on with.
  for (const name of own.toSorted((a, b) => Number(a === MANIFEST) - Number(b === MANIFEST))) {
    const path = join(folder, name);
    const noted = manifest?.get(name);
    if (noted !== undefined && !(await isAsNoted(path, noted).catch(() => false))) continue;
    await unlink(path).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
    const parts = name.split("/").slice(0, -1);
    for (const [index] of parts.entries()) folders.add(parts.slice(0, index + 1).join("/"));
  }
  for (const name of [...folders].toSorted((a, b) => b.length - a.length)) await removeEmpty(join(folder, name));
  return removeEmpty(folder);
}

async function removeEmpty(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    // Some systems say EEXIST for a folder that is not empty.
    if (hasCode(error, "ENOTEMPTY") || hasCode(error, "EEXIST")) return false;
    if (isMissing(error)) return true;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return hasCode(error, "ENOENT");
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** Visits entries below `folder` in the order of their names; `visit` says whether to go on (for a folder: into it). */
async function walk(
  folder: string,
  below: string,
  visit: (name: string, entry: Dirent) => Promise<boolean>,
): Promise<boolean> {
  const entries = await readdir(join(folder, below), { withFileTypes: true });
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = below === "" ? entry.name : `${below}/${entry.name}`;
    const goOn = await visit(name, entry);
    if (entry.isDirectory()) {
      if (goOn && !(await walk(folder, name, visit))) return false;
    } else if (!goOn) return false;
  }
  return true;
}

async function readManifest(folder: string): Promise<ReadonlyMap<string, FileFacts> | undefined> {
  const path = join(folder, MANIFEST);
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  const text = await readText(path, "the list of files that adamerge wrote", MAX_MANIFEST_BYTES, UserError);
  try {
    return new Map(manifestSchema.parse(JSON.parse(text)).files);
  } catch {
    throw new UserError(
      `${path}: expected the list of files that adamerge wrote, found something else. Move what you need out of ${folder} and delete it, or choose another folder.`,
    );
  }
}

async function isAsNoted(path: string, noted: FileFacts): Promise<boolean> {
  const found = await lstat(path, { bigint: true });
  if (!found.isFile() || found.size !== BigInt(noted.bytes)) return false;
  if (found.mtimeNs.toString() === noted.modified && noted.sha256 === undefined) return true;
  // Copies and other file systems keep the time less exactly, or not at all: then the content decides, where it is known.
  return noted.sha256 !== undefined && (await factsOf(path)).sha256 === noted.sha256;
}

async function factsOf(path: string): Promise<FileFacts> {
  const file = await openRegular(path, "a file of ours", UserError);
  try {
    const { size, mtimeNs }: BigIntStats = await file.stat({ bigint: true });
    const facts = { bytes: Number(size), modified: mtimeNs.toString() };
    if (size > MAX_HASHED_BYTES) return facts;
    const hash = createHash("sha256");
    const buffer = new Uint8Array(Math.min(READ_BYTES, Number(size) || 1));
    for (let position = 0; ; ) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
    return { ...facts, sha256: hash.digest("hex") };
  } finally {
    await file.close();
  }
}
