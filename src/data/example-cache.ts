/**
 * The disk cache of encoded splits, of whatever kind: files named by a hash of what went in, so that nothing goes stale. A file is its content
 * followed by the SHA-256 of it; one that does not verify counts as absent. Files appear whole, so that two writers do no harm, and those that
 * were used longest ago make room for new ones.
 */
import { createHash } from "node:crypto";
import { open, readdir, rm, stat, utimes } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { DataError, UserError } from "../errors.js";
import { withAtomicFile } from "../runtime/atomic-file.js";

const DIGEST_BYTES = 32;
/** What is read at a time to verify: it bounds memory, for each split that is loaded at once. */
const CHUNK_BYTES = 2 ** 24;

/** The length of the content of the file at `path`; undefined when there is none that verifies, or one of another length than `expected`. */
export async function cachedContent(path: string, expected?: number): Promise<number | undefined> {
  const length = await verifiedLength(path, expected);
  if (length === undefined) return undefined;
  const now = new Date();
  // Says that it was used; a folder that refuses is read all the same.
  await utimes(path, now, now).catch(() => {});
  return length;
}

async function verifiedLength(path: string, expected: number | undefined): Promise<number | undefined> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const length = (await file.stat()).size - DIGEST_BYTES;
    if (length < 0 || (expected !== undefined && length !== expected)) return undefined;
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
 * Writes what `chunks` yields and its hash; false when the disk refuses (full, read-only), which is no reason to stop. Files of the same ending
 * beside it that were used longest ago go until all together have at most `mostBytes`. `bytes`: those of the content, where they are known before.
 */
export async function writeCached(
  path: string,
  { mostBytes, bytes }: { readonly mostBytes: number; readonly bytes?: number },
  chunks: () => AsyncIterable<Uint8Array>,
): Promise<boolean> {
  try {
    if (bytes !== undefined) await makeRoom(path, mostBytes - bytes);
    await withAtomicFile(path, async (file) => {
      const hash = createHash("sha256");
      for await (const chunk of chunks()) {
        hash.update(chunk);
        await file.writeFile(chunk);
      }
      await file.writeFile(hash.digest());
    });
    if (bytes === undefined) await makeRoom(path, mostBytes - (await stat(path)).size);
    return true;
  } catch (error) {
    // Of an example, not of the disk.
    if (error instanceof DataError || !(error instanceof UserError)) throw error;
    return false;
  }
}

/** Deletes other files of the ending of `path` until the rest have at most `mostBytes`. Who has one open reads on. */
async function makeRoom(path: string, mostBytes: number): Promise<void> {
  const folder = dirname(path);
  const names = await readdir(folder).catch(() => []);
  const files = await Promise.all(
    names
      .map((name) => join(folder, name))
      .filter((other) => extname(other) === extname(path) && other !== path)
      .map(async (other) => {
        // Another process may have made room meanwhile.
        const found = await stat(other).catch(() => undefined);
        return { path: other, sizeBytes: found?.size ?? 0, usedMs: found?.mtimeMs ?? 0 };
      }),
  );
  let total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  for (const { path: oldest, sizeBytes } of files.toSorted((a, b) => a.usedMs - b.usedMs)) {
    if (total <= mostBytes) return;
    await rm(oldest, { force: true });
    total -= sizeBytes;
  }
}
