/**
 * Files and directories that appear whole or not at all. Everything is written under a temporary name in
 * the same folder (another file system would turn the rename into a copy), fsynced, renamed, and the
 * folder is fsynced. An existing file is never truncated: another process may have it mapped.
 */
import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { UserError } from "../errors.js";

/** What a person can do about the system errors met while writing. */
const ADVICE: ReadonlyMap<string, string> = new Map([
  ["ENOSPC", "free space on this disk or choose another folder"],
  ["EDQUOT", "free space within your quota or choose another folder"],
  ["EACCES", "check the permissions of the folder"],
  ["EPERM", "check the permissions of the folder"],
  ["EROFS", "the file system is read-only; choose another folder"],
  ["EIO", "the disk reported a fault; choose another folder and check the disk"],
  ["ENOTDIR", "a parent of this path is a file; choose another path"],
  ["EEXIST", "a parent of this path is a file; choose another path"],
  ["EISDIR", "this path is a directory; choose another name"],
  ["ENAMETOOLONG", "choose a shorter name"],
]);

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
    await mkdir(dirname(target), { recursive: true });
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

/**
 * Lets `fill` write into a temporary folder, then gives it the name `path`. Every file in it is fsynced first.
 * Throws UserError if `path` exists and is not an empty folder, unless `replace`; then the old folder
 * stays until the new one is complete. An error of `fill` leaves nothing behind.
 */
export async function withAtomicDirectory(
  path: string,
  fill: (temporaryPath: string) => Promise<void>,
  options: { readonly replace?: boolean } = {},
): Promise<void> {
  const target = resolve(path);
  const temporary = temporaryName(target);
  const replace = options.replace ?? false;
  try {
    if (!replace) await refuseOccupied(target, path);
    await mkdir(temporary, { recursive: true });
    await fill(temporary);
    await publishDirectory(temporary, path, { replace });
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw withAdvice(error, path);
  }
}

/**
 * Gives a complete folder its final name, after every file in it is fsynced, for whoever keeps the unfinished one to go on with. Both lie in
 * the same folder. Throws UserError as `withAtomicDirectory`; the unfinished folder stays then.
 */
export async function publishDirectory(
  temporary: string,
  path: string,
  { replace }: { readonly replace: boolean },
): Promise<void> {
  const target = resolve(path);
  await syncTree(temporary);
  if (!replace) await refuseOccupied(target, path);
  await moveInto(temporary, target, replace);
  await syncDirectory(dirname(target));
}

/** The random part keeps two writers of one target apart; the leading dot hides leftovers of a killed process. */
function temporaryName(target: string): string {
  return join(dirname(target), `.${basename(target)}.${randomUUID().slice(0, 8)}.tmp`);
}

async function refuseOccupied(target: string, shown: string): Promise<void> {
  const entries = await listOrUndefined(target);
  if (entries !== undefined && entries.length > 0) {
    throw new UserError(
      `${shown}: expected a new or empty folder, found ${entries.length} entries (${entries.slice(0, 3).join(", ")}). Choose another path, or ask for it to be replaced.`,
    );
  }
}

async function listOrUndefined(path: string): Promise<string[] | undefined> {
  try {
    return await readdir(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function moveInto(temporary: string, target: string, replace: boolean): Promise<void> {
  const entries = await listOrUndefined(target);
  if (entries === undefined) return rename(temporary, target);
  if (!replace || entries.length === 0) {
    // POSIX renames over an empty folder, Windows does not; rmdir still refuses a folder that was filled meanwhile.
    await rmdir(target);
    return rename(temporary, target);
  }
  const retired = temporaryName(target);
  await rename(target, retired);
  try {
    await rename(temporary, target);
  } catch (error) {
    await rename(retired, target);
    throw error;
  }
  await rm(retired, { recursive: true, force: true });
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
  const file = await open(path, flags);
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
  const advice = ADVICE.get(errorCode(error) ?? "");
  if (advice === undefined || !(error instanceof Error)) return error;
  return new UserError(`${path}: could not be written (${error.message}). What to do: ${advice}.`, { cause: error });
}
