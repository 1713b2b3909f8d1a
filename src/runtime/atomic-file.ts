/**
 * Files and directories that appear whole or not at all. Everything is written under a temporary name in
 * the same folder (another file system would turn the rename into a copy), fsynced, renamed, and the
 * folder is fsynced. An existing file is never truncated: another process may have it mapped.
 */
import { randomUUID } from "node:crypto";
import { type FileHandle, lstat, open, readdir, rename, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { UserError } from "../errors.js";
import { makeFolder } from "./make-folder.js";
import { requireOwnFolder } from "./output-place.js";
import { type Listed, ownFiles, type Recognise, removeOwnFiles, writeManifest } from "./own-files.js";
import { adviceFor } from "./system-error.js";

/**
 * Writes `data` to `path` so that readers see the old content or the new one, never a part.
 * Missing parent folders are created. Throws UserError when the disk refuses; the temporary file is removed.
 */
export async function writeFileAtomic(path: string, data: string | Uint8Array): Promise<void> {
  await withAtomicFile(path, (file) => file.writeFile(data));
}

/**
 * As `writeFileAtomic`, for content that `write` streams into the open temporary file.
 * An error of `write` removes the temporary file, leaves `path` as it was and is thrown on.
 */
export async function withAtomicFile(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const target = resolve(path);
  const temporary = temporaryName(target);
  try {
    await makeFolder(dirname(target));
    const file = await open(temporary, "wx");
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
    await syncDirectory(dirname(target));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw withAdvice(error, path);
  }
}

export interface Publishing {
  /** An old folder may be replaced if it holds only what we wrote; undefined: it is refused. */
  readonly replace?: Replacing | undefined;
  /** Notes the files in the folder, so that a later result can replace it. */
  readonly manifest?: boolean;
}

export interface Replacing {
  /** Knows folders that were written before there were manifests. */
  readonly recognise?: ((folder: string) => Promise<Recognise | undefined>) | undefined;
}

/**
 * Lets `fill` write into a temporary folder, then gives it the name `path`. Every file in it is fsynced first.
 * Throws UserError if `path` exists and is not an empty folder, unless it may be replaced; then the old folder
 * stays until the new one is complete. An error of `fill` leaves nothing behind.
 */
export async function withAtomicDirectory(
  path: string,
  fill: (temporaryPath: string) => Promise<void>,
  options: Publishing = {},
): Promise<void> {
  const target = resolve(path);
  const temporary = temporaryName(target);
  try {
    await requireReplaceable(target, path, options.replace);
    await makeFolder(temporary);
    await fill(temporary);
    await publishDirectory(temporary, path, options);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw withAdvice(error, path);
  }
}

/**
 * Gives a complete folder its final name, after every file in it is fsynced, for whoever keeps the unfinished one to go on with. Both lie in
 * the same folder. Throws UserError as `withAtomicDirectory`; the unfinished folder stays then. `listed`: the files that are ours, where the folder
 * may hold others. Returns where the old folder is if others put something into it meanwhile.
 */
export async function publishDirectory(
  temporary: string,
  path: string,
  { replace, manifest = false, listed }: Publishing & { readonly listed?: Listed },
): Promise<string | undefined> {
  const target = resolve(path);
  await syncTree(temporary);
  // After the data is on the disk: network file systems set a file's time when they get its data.
  if (manifest) await writeManifest(temporary, listed);
  const left = await moveInto(temporary, target, path, replace);
  await syncDirectory(dirname(target));
  return left;
}

/**
 * Brings in order what a process that was killed while it replaced `path` left: an old folder that was moved aside comes back if the new one is
 * not there, and is removed if it is. What is not whole, or not ours alone, stays as it is.
 */
export async function settleReplaced(path: string, { recognise }: Replacing): Promise<void> {
  const target = resolve(path);
  const prefix = retiredPrefix(target);
  const siblings = await readdir(dirname(target), { withFileTypes: true }).catch(() => []);
  for (const { name } of siblings.filter((entry) => entry.isDirectory() && entry.name.startsWith(prefix))) {
    const retired = join(dirname(target), name);
    const found = await ownFiles(retired, await recognise?.(retired)).catch(() => undefined);
    if (found === undefined || found.foreign.length > 0) continue;
    const isThere = (await lstat(target).catch(() => undefined)) !== undefined;
    if (isThere) await removeOwnFiles(retired, found.own);
    else if (found.isWhole) await rename(retired, target);
  }
}

/** The random part keeps two writers of one target apart; the leading dot hides leftovers of a killed process. */
function temporaryName(target: string): string {
  return join(dirname(target), `.${basename(target)}.${randomUUID().slice(0, 8)}.tmp`);
}

/** An old folder on its way out. Visible, since it is what is left when the process is killed in between. */
function retiredPrefix(target: string): string {
  return `${basename(target)}.replaced-`;
}

/** What of the folder at `target` may go. Throws UserError when it may not be replaced. */
async function requireReplaceable(
  target: string,
  shown: string,
  replace: Replacing | undefined,
): Promise<readonly string[] | undefined> {
  const entries = await listOrUndefined(target, shown);
  if (entries === undefined || entries.length === 0) return entries;
  if (replace !== undefined) return requireOwnFolder(target, shown, replace.recognise);
  throw new UserError(
    `${shown}: expected a new or empty folder, found ${entries.length} entries (${entries.slice(0, 3).join(", ")}). Choose another path, or ask for it to be replaced.`,
  );
}

async function listOrUndefined(path: string, shown: string): Promise<string[] | undefined> {
  const found = await lstat(path).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  if (found.isDirectory()) return readdir(path);
  throw new UserError(
    `${shown}: expected a folder or a new name, found ${found.isSymbolicLink() ? "a link" : "a file"}. Choose another path.`,
  );
}

async function moveInto(
  temporary: string,
  target: string,
  shown: string,
  replace: Replacing | undefined,
): Promise<string | undefined> {
  const own = await requireReplaceable(target, shown, replace);
  if (own === undefined || own.length === 0) {
    // POSIX renames over an empty folder, Windows does not; rmdir still refuses a folder that was filled meanwhile.
    if (own !== undefined) await rmdir(target);
    await rename(temporary, target);
    return undefined;
  }
  const retired = join(dirname(target), `${retiredPrefix(target)}${randomUUID().slice(0, 8)}`);
  await rename(target, retired);
  try {
    await rename(temporary, target);
  } catch (error) {
    await rename(retired, target);
    throw error;
  }
  await syncDirectory(dirname(target));
  return (await removeOwnFiles(retired, own)) ? undefined : retired;
}

async function syncTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await syncPath(path, "r+");
  }
  await syncDirectory(directory);
}

/** Makes the rename itself durable. Windows cannot open folders, and does not need it. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform !== "win32") await syncPath(directory, "r");
}

async function syncPath(path: string, flags: "r" | "r+"): Promise<void> {
  // A copy of a read-only file is read-only too, and is synced through a reading handle.
  const file = await open(path, flags).catch((error: unknown) => {
    if (flags === "r+" && errorCode(error) === "EACCES") return open(path, "r");
    throw error;
  });
  try {
    await file.sync();
  } catch (error) {
    // Some network file systems refuse fsync on folders; the data files were synced before.
    if (flags === "r+" || !["EINVAL", "ENOTSUP"].includes(errorCode(error) ?? "")) throw error;
  } finally {
    await file.close();
  }
}

function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** A system error of writing `path` with what to do about it; other errors as they are. */
export function withAdvice(error: unknown, path: string): unknown {
  const advice = adviceFor(errorCode(error) ?? "");
  if (advice === undefined || !(error instanceof Error)) return error;
  return new UserError(`${path}: could not be written (${error.message}). What to do: ${advice}.`, { cause: error });
}
