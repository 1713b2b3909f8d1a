/**
 * Read-only memory mapping of a file, so that frozen tensors are fed to an engine without a copy and all processes of a machine share
 * one. Touching a page that a mapped file no longer has kills the process (SIGBUS), and looking at the file's size before each use leaves
 * the time in between. So a file is mapped only while nobody else can change it:
 * - Linux: under a read lease. Who wants to write to the file or cut it waits in the kernel while we notice (we poll; the kernel waits 45
 *   seconds), put zeros in the place of the pages and let go. What was computed meanwhile is refused by `check`.
 * - elsewhere, and where there is no lease (another user's file, some network file systems): from a private copy without a name, which
 *   costs disk instead of memory, and nothing on file systems that clone (APFS, btrfs, XFS).
 * A file that is replaced or deleted stays as it was mapped in both cases. Whoever maps a file guards it; other threads look at its pages.
 */
import { randomUUID } from "node:crypto";
import { closeSync, fstatSync, openSync, type Stats, statSync } from "node:fs";
import { constants, copyFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { CheckpointError, UserError } from "../errors.js";
import { loadPosix, type Pages, type Posix } from "./posix.js";

/** Often enough that a waiting writer is not kept for long, and far below the 45 seconds of the kernel even when this thread is busy. */
const POLL_MS = 250;

export interface MappedFile {
  readonly path: string;
  /** Where the file lies, for `viewPages` on other threads. */
  readonly pages: Pages;
  /** Some bytes of the file, as `viewPages`. */
  view(byteOffset: number, byteLength: number): ArrayBuffer;
  /**
   * Throws CheckpointError if another program wanted to write to the file since it was mapped. Nothing read from it before is wrong if this
   * returns afterwards.
   */
  check(): void;
  /** Unmaps; safe to call twice. Release everything that looks into the pages first, on all threads. */
  close(): void;
}

/** Whether `mapFile` works on this system: 64-bit Linux or macOS with a loadable koffi. */
export function canMapFiles(): boolean {
  try {
    loadPosix();
    return true;
  } catch {
    return false;
  }
}

/** How mapped files of this system are kept from changing, as shown to people. */
export function mappingGuard(): "read leases" | "private copies" {
  return loadPosix().leases === undefined ? "private copies" : "read leases";
}

/**
 * Maps the file at `path` read-only. Throws UserError on systems without POSIX mmap and when the system refuses.
 * The calling thread must not be blocked for longer than some seconds while the file is mapped.
 */
export async function mapFile(path: string): Promise<MappedFile> {
  const posix = loadPosix();
  const opened: { fd?: number } = {};
  try {
    const { fd, isLeased } = await openSteady(posix, path, opened);
    const sizeBytes = fstatSync(fd).size;
    // mmap refuses a length of zero.
    const pages = sizeBytes === 0 ? { address: 0n, sizeBytes } : posix.map(fd, sizeBytes);
    return guardMapping(posix, path, fd, pages, isLeased);
  } catch (error) {
    if (opened.fd !== undefined) closeSync(opened.fd);
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `${path}: could not be mapped (${reason}). Check the path, its permissions and the memory limits.`,
    );
  }
}

/**
 * A buffer of this thread over some bytes of pages, which another one may have mapped. Writing to it kills the process, and so does using it
 * once the mapping is closed. Node's buffers end at 4 GB (version 20), files do not: hence never the whole file.
 */
export function viewPages(pages: Pages, byteOffset: number, byteLength: number): ArrayBuffer {
  if (byteOffset < 0 || byteOffset + byteLength > pages.sizeBytes)
    throw new RangeError(`bytes ${byteOffset} to ${byteOffset + byteLength} of ${pages.sizeBytes} that are mapped`);
  return byteLength === 0 ? new ArrayBuffer(0) : loadPosix().view(pages, byteOffset, byteLength);
}

function guardMapping({ unmap, leases }: Posix, path: string, fd: number, pages: Pages, isLeased: boolean): MappedFile {
  let state: "open" | "given up" | "closed" = "open";
  // In this order: a lease that is still held after a computation proves that the pages were the file's all the time.
  const giveWay = (): void => {
    if (state !== "open" || leases === undefined || leases.isHeld(fd)) return;
    state = "given up";
    clearInterval(timer);
    if (pages.sizeBytes > 0) leases.cover(pages);
    leases.release(fd);
  };
  const timer = setInterval(giveWay, POLL_MS);
  timer.unref();
  if (!isLeased) clearInterval(timer);
  return {
    path,
    pages,
    view: (byteOffset, byteLength) => viewPages(pages, byteOffset, byteLength),
    check: () => {
      if (isLeased) giveWay();
      if (state === "given up") throw changedMeanwhile(path);
    },
    close: () => {
      if (state === "closed") return;
      state = "closed";
      clearInterval(timer);
      if (pages.sizeBytes > 0) unmap(pages);
      closeSync(fd);
    },
  };
}

function changedMeanwhile(path: string): CheckpointError {
  return new CheckpointError(
    `${path}: expected nobody to write to this file while it is in use, found that another program opened it for writing or cut it. ` +
      "Delete it; the next start builds it again",
  );
}

/** A descriptor of the file itself under a lease, or of a private copy; in `opened` too, for whoever has to close it after an error. */
async function openSteady(
  { leases }: Posix,
  path: string,
  opened: { fd?: number },
): Promise<{ fd: number; isLeased: boolean }> {
  requireRegular(path, statSync(path));
  opened.fd = openSync(path, "r");
  const before = fstatSync(opened.fd);
  requireRegular(path, before);
  if (leases?.take(opened.fd)) return { fd: opened.fd, isLeased: true };
  closeSync(opened.fd);
  delete opened.fd;
  opened.fd = await openPrivateCopy(path);
  const after = await stat(path);
  if (after.size !== before.size || after.mtimeMs !== before.mtimeMs) throw changedMeanwhile(path);
  return { fd: opened.fd, isLeased: false };
}

function requireRegular(path: string, found: Stats): void {
  if (!found.isFile()) throw new UserError(`${path}: expected a regular file to map, found something else.`);
}

/** Beside the file, where copying may be cloning, or where temporary files go. Without a name nobody can open it. */
async function openPrivateCopy(path: string): Promise<number> {
  let reason: unknown;
  for (const folder of [dirname(path), tmpdir()]) {
    const copy = join(folder, `.${basename(path)}.${randomUUID().slice(0, 8)}.tmp`);
    try {
      await copyFile(path, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      return openSync(copy, "r");
    } catch (error) {
      reason = error;
    } finally {
      await rm(copy, { force: true });
    }
  }
  throw new UserError(
    `${path}: could not be kept from changing while it is in use: no lease on it, and no private copy (${reason instanceof Error ? reason.message : String(reason)}). ` +
      "Free space there, or choose a cache folder of your own on a local disk.",
  );
}
