/**
 * The disk cache of decoded splits. The key is a hash of all encoded images and of what the pixels depend on, so
 * a changed data set or preprocessing is another file and nothing goes stale. A file is the pixels followed by their
 * SHA-256; a file that does not verify counts as absent.
 */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../errors.js";
import { withAtomicFile } from "../runtime/atomic-file.js";
import { type ChosenCorruption, CORRUPTION_VERSION } from "./corruptions/registry.js";
import type { ImageDataset } from "./image-dataset.js";
import type { Preprocessing } from "./preprocessing.js";

/** Part of every key: raise it when decoding or resizing changes what pixels come out. */
const CACHE_VERSION = 2;
const DIGEST_BYTES = 32;
/** Node's hashes, reads and writes take less than 2 GiB at a time; splits may be larger. */
const CHUNK_BYTES = 2 ** 26;

/** The hash (hex) of the first `size` encoded images and of resize, crop, filter and corruption. Normalisation is not in the pixels. */
export async function pixelCacheKey(
  dataset: ImageDataset,
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
  }
  return hash.digest("hex");
}

/** The cached pixels of `key`, or undefined when there are none of that length that verify. */
export async function readPixelCache(cacheDir: string, key: string, length: number): Promise<Uint8Array | undefined> {
  const file = await open(cachePath(cacheDir, key)).catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    if ((await file.stat()).size !== length + DIGEST_BYTES) return undefined;
    const pixels = new Uint8Array(length);
    const hash = createHash("sha256");
    let position = 0;
    while (position < length) {
      const { bytesRead } = await file.read(pixels, position, Math.min(CHUNK_BYTES, length - position), position);
      if (bytesRead === 0) return undefined;
      hash.update(pixels.subarray(position, position + bytesRead));
      position += bytesRead;
    }
    const digest = new Uint8Array(DIGEST_BYTES);
    await file.read(digest, 0, DIGEST_BYTES, length);
    return hash.digest().equals(digest) ? pixels : undefined;
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
}

/** Keeps pixels for the next run; a disk that refuses (full, read-only) is no reason to stop this one. */
export async function writePixelCache(cacheDir: string, key: string, pixels: Uint8Array): Promise<void> {
  try {
    await withAtomicFile(cachePath(cacheDir, key), async (file) => {
      const hash = createHash("sha256");
      for (let position = 0; position < pixels.length; position += CHUNK_BYTES) {
        const chunk = pixels.subarray(position, position + CHUNK_BYTES);
        hash.update(chunk);
        await file.writeFile(chunk);
      }
      await file.writeFile(hash.digest());
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
  }
}

function cachePath(cacheDir: string, key: string): string {
  return join(cacheDir, "pixels", `${key}.pixels`);
}
