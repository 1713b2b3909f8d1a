/**
 * The cache that Hugging Face's tools share, as Python's `huggingface_hub` lays it out. Under the cache directory:
 *
 *     models--org--name/blobs/<hash>                        contents, once each
 *     models--org--name/refs/<revision>                     the commit that a branch or tag was at
 *     models--org--name/snapshots/<commit>/<file>           links to the contents
 *     models--org--name/trees/<commit>.json                 all files of the commit, cached or not
 *     .locks/models--org--name/                             locks
 */
import { randomUUID } from "node:crypto";
import { copyFile, readdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { withAdvice, writeFileAtomic } from "../../runtime/atomic-file.js";
import { makeFolder } from "../../runtime/make-folder.js";
import { type HubFile, listingText, MAX_FILES, parseListing } from "./listing.js";
import { type HubReference, isCommit } from "./reference.js";

/** Folders below folders that a snapshot is searched through; data sets have three. */
const MAX_DEPTH = 8;
const REPOSITORY_FOLDER = /^(model|dataset)s--(.+?)--(.+)$/;

/** `models--org--name`. */
export function repositoryFolder({ type, id }: HubReference): string {
  return `${type}s--${id.replace("/", "--")}`;
}

export function blobPath(cacheDir: string, reference: HubReference, hash: string): string {
  return join(cacheDir, repositoryFolder(reference), "blobs", hash);
}

/** Not the name of a lock of Python's tools, which lock in another way. */
export function lockPath(cacheDir: string, reference: HubReference, hash: string): string {
  return join(cacheDir, ".locks", repositoryFolder(reference), `${hash}.adamerge.lock`);
}

export function snapshotPath(cacheDir: string, reference: HubReference, commit: string): string {
  return join(cacheDir, repositoryFolder(reference), "snapshots", commit);
}

/** Repository and commit of a snapshot's folder, `models/org/name@<commit>`; undefined for any other folder. */
export function snapshotIdentity(path: string): string | undefined {
  const [type, org, name] = REPOSITORY_FOLDER.exec(basename(dirname(dirname(path))))?.slice(1) ?? [];
  if (type === undefined || basename(dirname(path)) !== "snapshots" || !isCommit(basename(path))) return undefined;
  return `${type}s/${org}/${name}@${basename(path)}`;
}

/** The commit that the cache knows for the reference's revision. */
export async function cachedCommit(cacheDir: string, reference: HubReference): Promise<string | undefined> {
  if (isCommit(reference.revision)) return reference.revision;
  const text = await readFile(refPath(cacheDir, reference), "utf8").catch(() => "");
  return isCommit(text.trim()) ? text.trim() : undefined;
}

/** Notes the commit of a branch or tag. */
export async function writeRef(cacheDir: string, reference: HubReference, commit: string): Promise<void> {
  if (isCommit(reference.revision) || (await cachedCommit(cacheDir, reference)) === commit) return;
  // Python's tools read the file as it stands: no newline.
  await writeFileAtomic(refPath(cacheDir, reference), commit);
}

function refPath(cacheDir: string, reference: HubReference): string {
  return join(cacheDir, repositoryFolder(reference), "refs", ...reference.revision.split("/"));
}

/** The listing of a commit, if the cache has a sound one. */
export async function cachedListing(
  cacheDir: string,
  reference: HubReference,
  commit: string,
): Promise<readonly HubFile[] | undefined> {
  const text = await readFile(listingPath(cacheDir, reference, commit), "utf8").catch(() => undefined);
  return text === undefined ? undefined : parseListing(text);
}

export async function writeListing(
  cacheDir: string,
  reference: HubReference,
  commit: string,
  files: readonly HubFile[],
): Promise<void> {
  await writeFileAtomic(listingPath(cacheDir, reference, commit), listingText(files));
}

function listingPath(cacheDir: string, reference: HubReference, commit: string): string {
  return join(cacheDir, repositoryFolder(reference), "trees", `${commit}.json`);
}

/** The files of a snapshot whose contents are there, by their names with slashes, sorted; those of other tools too. */
export async function snapshotNames(directory: string): Promise<readonly string[]> {
  const names: string[] = [];
  const visit = async (folder: string, depth: number): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      if (names.length >= MAX_FILES) return;
      const path = join(folder, entry.name);
      if (entry.isDirectory() && depth < MAX_DEPTH) await visit(path, depth + 1);
      else if ((await sizeOf(path)) !== undefined) names.push(relative(directory, path).replaceAll(sep, "/"));
    }
  };
  await visit(directory, 0);
  return names.toSorted();
}

/** Bytes of a regular file, links followed; undefined if there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ? found.size : undefined;
}

/** Shows a blob as `name` in a snapshot. The link appears whole and replaces one that leads to something else. */
export async function linkFile(blob: string, directory: string, name: string): Promise<void> {
  const target = join(directory, ...name.split("/"));
  const temporary = join(dirname(target), `.${randomUUID().slice(0, 8)}.tmp`);
  try {
    await makeFolder(dirname(target));
    await symlink(relative(dirname(target), blob), temporary).catch(async (error: unknown) => {
      // Windows without the right to make links, and some network file systems: a copy, as Python's tools do.
      if (!(error instanceof Error && "code" in error && (error.code === "EPERM" || error.code === "ENOTSUP")))
        throw error;
      await copyFile(blob, temporary);
    });
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw withAdvice(error, target);
  }
}
