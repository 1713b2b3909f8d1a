/**
 * All images of a split as uint8, decoded and resized once. They lie in a cache file keyed by content, from which batches are read: the second
 * run starts at once, and a split of any size takes no memory. N images, H, W, C height, width, channels.
 */
import { DataError } from "../../errors.js";
import { type ChosenCorruption, chosenCorruption } from "../corruption.js";
import type { EncodeOptions, Encoder } from "../encoder.js";
import { DEFAULT_CACHE_BYTES } from "../example-cache.js";
import type { ExampleStore, LabelledExamples } from "../examples.js";
import type { Dataset } from "../readers/dataset-reader.js";
import { corrupt, corruptions } from "./corruptions/registry.js";
import { decodeImage } from "./decode-image.js";
import { type ImageRows, rowsInMemory } from "./image-rows.js";
import { fillPixelCache, pixelCacheKey, readPixelCache } from "./pixel-cache.js";
import { type Preprocessing, toPixels } from "./preprocessing.js";

/** Images decoded at once: libvips decodes on the four threads of Node's pool, more would only hold memory. */
const DECODE_CONCURRENCY = 4;
/** Node 20 cannot make a larger typed array. */
const MAX_BUFFER_BYTES = 2 ** 32 - 1;
const CHANNELS = 3;

/** The encoder of images for a model with this preprocessing. */
export function imageEncoder(preprocessing: Preprocessing): Encoder {
  return { kind: "image", preprocessing, open: (dataset, options) => loadPixels(dataset, preprocessing, options) };
}

/**
 * Decodes a split into the cache, or finds it there. A cache file that is damaged is made anew; without a cache, or with one whose disk refuses, the
 * images are held in memory. Throws DataError naming the first image that does not decode, or when the split is too large for that.
 */
export async function loadPixels(
  dataset: Dataset,
  preprocessing: Preprocessing,
  options: EncodeOptions = {},
): Promise<ExampleStore | LabelledExamples> {
  const { height, width } = preprocessing;
  const { limit, corruption, signal } = options;
  const size = Math.min(dataset.size, limit ?? dataset.size);
  const name = `${dataset.name}, split ${dataset.split}`;
  if (size < 1) throw new DataError(`${name}: expected at least 1 image, found a limit of ${limit}`);
  if (corruption !== undefined) chosenCorruption(corruptions, corruption, "images");
  const { images, fingerprint } = await loadImages({ dataset, preprocessing, size, corruption, signal }, options);
  const { classes, labels, unlabelled } = dataset;
  const base = {
    ...imageExamples(name, size, images, height * width * CHANNELS),
    ...(classes === undefined ? {} : { classes }),
    ...(unlabelled === undefined ? {} : { unlabelled }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
  } as const;
  return labels === undefined ? base : { ...base, labels: labels.slice(0, size) };
}

/** Images as the examples of a model: its input is called `images`, uint8 [B, H, W, C]. */
export function imageExamples(name: string, size: number, images: ImageRows, imageBytes: number): ExampleStore {
  return {
    kind: "image",
    name,
    size,
    gather: (indices) => {
      const imagesBHWC = new Uint8Array(indices.length * imageBytes);
      for (const [position, index] of indices.entries()) images.copy(index, imagesBHWC, position * imageBytes);
      return new Map([["images", imagesBHWC]]);
    },
  };
}

/** What the pixels of a split depend on. */
interface Decoding {
  readonly dataset: Dataset;
  readonly preprocessing: Preprocessing;
  readonly size: number;
  readonly corruption: ChosenCorruption | undefined;
  readonly signal: AbortSignal | undefined;
}

async function loadImages(
  decoding: Decoding,
  { cacheDir, cacheBytes = DEFAULT_CACHE_BYTES }: Pick<EncodeOptions, "cacheDir" | "cacheBytes">,
): Promise<{ readonly images: ImageRows; readonly fingerprint?: string }> {
  const { dataset, preprocessing, size, corruption } = decoding;
  if (cacheDir === undefined) return { images: await decodeToMemory(decoding) };
  const key = await pixelCacheKey(dataset, preprocessing, size, corruption);
  const shape = { count: size, imageBytes: imageBytesOf(decoding) };
  const images =
    (await readPixelCache(cacheDir, key, shape)) ??
    (await fillPixelCache(cacheDir, key, shape, cacheBytes, (first, count) => decode(decoding, first, count))) ??
    (await decodeToMemory(decoding));
  return { images, fingerprint: key };
}

function imageBytesOf({ preprocessing: { height, width } }: Pick<Decoding, "preprocessing">): number {
  return height * width * CHANNELS;
}

async function decodeToMemory(decoding: Decoding): Promise<ImageRows> {
  const { dataset, preprocessing, size } = decoding;
  const imageBytes = imageBytesOf(decoding);
  if (size * imageBytes > MAX_BUFFER_BYTES) {
    const most = Math.floor(MAX_BUFFER_BYTES / imageBytes);
    throw new DataError(
      `${dataset.name}, split ${dataset.split}: expected at most ${most} images of ${preprocessing.width} x ${preprocessing.height} pixels without a cache on disk (4 GiB), found ${size}; give a cache folder that can be written and has ${Math.ceil((size * imageBytes) / 1e9)} GB free`,
    );
  }
  return rowsInMemory(await decode(decoding, 0, size), imageBytes);
}

/** Images `first` .. `first + count - 1`, decoded and resized, [count, H, W, C]. */
async function decode(decoding: Decoding, first: number, count: number): Promise<Uint8Array> {
  const { dataset, preprocessing, corruption, signal } = decoding;
  const imageBytes = imageBytesOf(decoding);
  const pixels = new Uint8Array(count * imageBytes);
  let next = 0;
  let failed = false;
  const work = async () => {
    while (next < count && !failed) {
      const place = next++;
      const index = first + place;
      try {
        signal?.throwIfAborted();
        const where = dataset.locate(index);
        const decoded = await decodeImage(await dataset.encoded(index), where, dataset.exifOrientation);
        const image = corruption === undefined ? decoded : await corrupt(decoded, corruption, index);
        pixels.set(await toPixels(image, preprocessing, where), place * imageBytes);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: DECODE_CONCURRENCY }, work));
  return pixels;
}
