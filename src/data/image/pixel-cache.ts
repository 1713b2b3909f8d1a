/**
 * Decoded splits in the cache of examples. The key is a hash of all encoded images and of what the pixels depend on, so
 * a changed data set or preprocessing is another file and nothing goes stale. The content of a file is the pixels.
 */
import { createHash } from "node:crypto";
import type { ChosenCorruption } from "../corruption.js";
import { CHUNK_BYTES, cacheFile, fillCache, findCached } from "../example-cache.js";
import type { Dataset } from "../readers/dataset-reader.js";
import { CORRUPTION_VERSION } from "./corruptions/registry.js";
import { orientationOf } from "./formats/exif-orientation.js";
import { type ImageRows, rowsInFile } from "./image-rows.js";
import type { Preprocessing } from "./preprocessing.js";

/** Part of every key: raise it when decoding or resizing changes what pixels come out. */
const CACHE_VERSION = 2;
const KIND = "pixels";

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
  const place = { cacheDir, kind: KIND, key };
  if ((await findCached(place)) !== count * imageBytes) return undefined;
  return rowsInFile(cacheFile(place), imageBytes);
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
  const place = { cacheDir, kind: KIND, key };
  const perChunk = Math.max(1, Math.floor(CHUNK_BYTES / imageBytes));
  const isFilled = await fillCache(place, { mostBytes, expectedBytes: count * imageBytes }, async (append) => {
    for (let first = 0; first < count; first += perChunk)
      await append(await decode(first, Math.min(perChunk, count - first)));
  });
  return isFilled ? rowsInFile(cacheFile(place), imageBytes) : undefined;
}
