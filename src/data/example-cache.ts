/**
 * The disk cache of encoded splits, of whatever kind. A file's name is a hash of the examples as stored and of all that their encoding depends on, so
 * that nothing goes stale. A file is its content followed by the SHA-256 of it; one that does not verify counts as absent. Files appear whole, so that
 * two writers do no harm, and those that were used longest ago make room for new ones. Each kind has a folder, and files with its name at their end.
 */
import { createHash } from "node:crypto";
import { open, readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { DataError, UserError } from "../errors.js";
import { withAtomicFile } from "../runtime/atomic-file.js";

/** Some 400,000 images of 224 x 224: test and training images of the eight public tasks. */
export const DEFAULT_CACHE_BYTES = 64e9;
/** What is encoded before it is written, and what is read at a time to verify: it bounds memory, for each split that is loaded at once. */
export const CHUNK_BYTES = 2 ** 24;
const DIGEST_BYTES = 32;

export interface CachePlace {
  readonly cacheDir: string;
  /** Of what is kept of the examples: the folder and the ending of its files. */
  readonly kind: string;
  /** Hex. */
  readonly key: string;
}

export function cacheFile({ cacheDir, kind, key }: CachePlace): string {
  return join(cacheDir, kind, `${key}.${kind}`);
}

/** How many bytes the content of the file has, if it is there and verifies. It counts as used then. */
export async function findCached(place: CachePlace): Promise<number | undefined> {
  const path = cacheFile(place);
  const length = await verifiedLength(path);
  if (length === undefined) return undefined;
  const now = new Date();
  // A folder that refuses is read all the same.
  await utimes(path, now, now).catch(() => {});
  return length;
}

async function verifiedLength(path: string): Promise<number | undefined> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const length = (await file.stat()).size - DIGEST_BYTES;
    if (length < 0) return undefined;
    const hash = createHash("sha256");
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, length));
    let position = 0;
    while (position < length) {
      const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.length, length - position), position);
      if (bytesRead === 0) return undefined;
      hash.update(chunk.subarray(0, bytesRead));
      position += bytesRead;
    }
    const digest = new Uint8Array(DIGEST_BYTES);
    await file.read(digest, 0, DIGEST_BYTES, length);
    return hash.digest().equals(digest) ? length : undefined;
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
}

/**
 * Writes the file piece by piece. False when the disk refuses (full, read-only), which is no reason to stop. Files that were used longest ago go until
 * all together have at most `mostBytes`: before anything is written where `expectedBytes` says how long the content will be, else before the
 * file gets its name.
 */
export async function fillCache(
  place: CachePlace,
  { mostBytes, expectedBytes }: { readonly mostBytes: number; readonly expectedBytes?: number },
  write: (append: (content: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<boolean> {
  try {
    if (expectedBytes !== undefined) await makeRoom(place.cacheDir, mostBytes - expectedBytes);
    await withAtomicFile(cacheFile(place), async (file) => {
      const hash = createHash("sha256");
      let written = 0;
      await write(async (content) => {
        hash.update(content);
        await file.writeFile(content);
        written += content.byteLength;
      });
      await file.writeFile(hash.digest());
      if (expectedBytes === undefined) await makeRoom(place.cacheDir, mostBytes - written);
    });
    return true;
  } catch (error) {
    // Of an example, not of the disk.
    if (error instanceof DataError || !isOfDisk(error)) throw error;
    return false;
  }
}

/** What `withAtomicFile` makes of a system error is a plain UserError. */
function isOfDisk(error: unknown): boolean {
  return error instanceof UserError && error.constructor === UserError;
}

/** Deletes files of all kinds until the rest have at most `mostBytes`. Who has one open reads on. */
async function makeRoom(cacheDir: string, mostBytes: number): Promise<void> {
  const folders = await readdir(cacheDir, { withFileTypes: true }).catch(() => []);
  const kinds = folders.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const files = (await Promise.all(kinds.map((kind) => filesOf(join(cacheDir, kind), `.${kind}`)))).flat();
  let total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  for (const { path, sizeBytes } of files.toSorted((a, b) => a.usedMs - b.usedMs)) {
    if (total <= mostBytes) return;
    await rm(path, { force: true });
    total -= sizeBytes;
  }
}

async function filesOf(folder: string, suffix: string) {
  const names = await readdir(folder).catch(() => []);
  return Promise.all(
    names
      .filter((name) => name.endsWith(suffix))
      .map(async (name) => {
        const path = join(folder, name);
        // Another process may have made room meanwhile.
        const found = await stat(path).catch(() => undefined);
        return { path, sizeBytes: found?.size ?? 0, usedMs: found?.mtimeMs ?? 0 };
      }),
  );
}
