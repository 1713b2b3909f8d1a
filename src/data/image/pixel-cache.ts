/**
 * The disk cache of decoded splits. The key is a hash of all encoded images and of what the pixels depend on, so
 * a changed data set or preprocessing is another file and nothing goes stale. A file is the pixels followed by their
 * SHA-256; a file that does not verify counts as absent. Files appear whole, so that two writers do no harm, and those that were used
 * longest ago make room for new ones.
 */
import { createHash } from "node:crypto";
import { open, readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { DataError, UserError } from "../../errors.js";
import { withAtomicFile } from "../../runtime/atomic-file.js";
import type { Dataset } from "../readers/dataset-reader.js";
import { type ChosenCorruption, CORRUPTION_VERSION } from "./corruptions/registry.js";
import { orientationOf } from "./formats/exif-orientation.js";
import { type ImageRows, rowsInFile } from "./image-rows.js";
import type { Preprocessing } from "./preprocessing.js";

/** Part of every key: raise it when decoding or resizing changes what pixels come out. */
const CACHE_VERSION = 2;
const DIGEST_BYTES = 32;
/** What is decoded before it is written, and what is read at a time to verify: it bounds memory, for each split that is loaded at once. */
const CHUNK_BYTES = 2 ** 24;
const SUFFIX = ".pixels";

/** Of the images in a file. */
export interface CachedShape {
  readonly count: number;
  readonly imageBytes: number;
}

/** The hash (hex) of the first `size` encoded images, of how they are turned, and of resize, crop, filter and corruption. Normalisation is not in the pixels. */
export async function pixelCacheKey(
  dataset: Dataset,
  preprocessing: Preprocessing,
  size: number,
  corruption?: ChosenCorruption,
): Promise<string> {
  const { resize, crop, filter, height, width } = preprocessing;
  const corrupted = corruption === undefined ? [] : [CORRUPTION_VERSION, corruption];
  const facts = [CACHE_VERSION, resize, crop, filter, height, width, size, ...corrupted];
  const hash = createHash("sha256").update(JSON.stringify(facts));
  for (let index = 0; index < size; index++) {
    const encoded = await dataset.encoded(index);
    // The length keeps the borders between images apart.
    hash.update(`;${encoded.byteLength};`).update(encoded);
    // Before images were turned, keys said nothing of it: those of images that are not turned stay as they were.
    const orientation = dataset.exifOrientation === "ignore" ? 1 : orientationOf(encoded);
    if (orientation > 1) hash.update(`;turned ${orientation};`);
  }
  return hash.digest("hex");
}

/** The cached images of `key`, or undefined when there are none of that shape that verify. */
export async function readPixelCache(
  cacheDir: string,
  key: string,
  { count, imageBytes }: CachedShape,
): Promise<ImageRows | undefined> {
  const path = cachePath(cacheDir, key);
  if (!(await verifies(path, count * imageBytes))) return undefined;
  const now = new Date();
  // Says that it was used; a folder that refuses is read all the same.
  await utimes(path, now, now).catch(() => {});
  return rowsInFile(path, imageBytes);
}

async function verifies(path: string, length: number): Promise<boolean> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return false;
  try {
    if ((await file.stat()).size !== length + DIGEST_BYTES) return false;
    const hash = createHash("sha256");
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, length));
    let position = 0;
    while (position < length) {
      const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.length, length - position), position);
      if (bytesRead === 0) return false;
      hash.update(chunk.subarray(0, bytesRead));
      position += bytesRead;
    }
    const digest = new Uint8Array(DIGEST_BYTES);
    await file.read(digest, 0, DIGEST_BYTES, length);
    return hash.digest().equals(digest);
  } catch {
    return false;
  } finally {
    await file.close();
  }
}

/**
 * Fills the cache with what `decode` gives for ranges of images, in order, and returns the images; undefined when the disk refuses (full,
 * read-only), which is no reason to stop. Files that were used longest ago go until all together have at most `mostBytes`.
 */
export async function fillPixelCache(
  cacheDir: string,
  key: string,
  { count, imageBytes }: CachedShape,
  mostBytes: number,
  decode: (first: number, count: number) => Promise<Uint8Array>,
): Promise<ImageRows | undefined> {
  const path = cachePath(cacheDir, key);
  const perChunk = Math.max(1, Math.floor(CHUNK_BYTES / imageBytes));
  try {
    await makeRoom(join(cacheDir, "pixels"), mostBytes - count * imageBytes);
    await withAtomicFile(path, async (file) => {
      const hash = createHash("sha256");
      for (let first = 0; first < count; first += perChunk) {
        const chunk = await decode(first, Math.min(perChunk, count - first));
        hash.update(chunk);
        await file.writeFile(chunk);
      }
      await file.writeFile(hash.digest());
    });
    return rowsInFile(path, imageBytes);
  } catch (error) {
    // Of an image, not of the disk.
    if (error instanceof DataError || !(error instanceof UserError)) throw error;
    return undefined;
  }
}

/** Deletes files until the rest have at most `mostBytes`. Who has one open reads on. */
async function makeRoom(folder: string, mostBytes: number): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const files = await Promise.all(
    names
      .filter((name) => name.endsWith(SUFFIX))
      .map(async (name) => {
        const path = join(folder, name);
        // Another process may have made room meanwhile.
        const found = await stat(path).catch(() => undefined);
        return { path, sizeBytes: found?.size ?? 0, usedMs: found?.mtimeMs ?? 0 };
      }),
  );
  let total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  for (const { path, sizeBytes } of files.toSorted((a, b) => a.usedMs - b.usedMs)) {
    if (total <= mostBytes) return;
    await rm(path, { force: true });
    total -= sizeBytes;
  }
}

function cachePath(cacheDir: string, key: string): string {
  return join(cacheDir, "pixels", `${key}${SUFFIX}`);
}
