/**
 * All images of a split as uint8, decoded and resized once. They lie in a cache file keyed by content, from which batches are read: the second
 * run starts at once, and a split of any size takes no memory. Labels are a separate type, so that code which adapts without labels cannot see
 * them. N images, H, W, C height, width, channels.
 */
import { DataError } from "../errors.js";
import { type ChosenCorruption, corrupt } from "./corruptions/registry.js";
import { decodeImage } from "./decode-image.js";
import type { ImageDataset } from "./image-dataset.js";
import { type ImageRows, rowsInMemory } from "./image-rows.js";
import { fillPixelCache, pixelCacheKey, readPixelCache } from "./pixel-cache.js";
import { type Preprocessing, toPixels } from "./preprocessing.js";

/** Images without their labels: the only thing that adaptation on unlabelled data is given. */
export interface UnlabelledPixels {
  /** For messages: data set and split. */
  readonly name: string;
  readonly size: number;
  readonly height: number;
  readonly width: number;
  readonly channels: 3;
  /** N images, each [H, W, C]. */
  readonly images: ImageRows;
  readonly classes?: readonly string[];
  /** Why there are no labels, where the data set says so. */
  readonly unlabelled?: string;
  /** Hex SHA-256 of the encoded images and of how they were decoded; known when there is a cache. */
  readonly fingerprint?: string;
}

export interface LabelledPixels extends UnlabelledPixels {
  /** [N], indices into the classes. */
  readonly labels: Int32Array;
}

export type PixelStore = UnlabelledPixels | LabelledPixels;

export interface LoadPixelsOptions {
  /** Where decoded splits are kept (in a folder `pixels`); nothing is kept without it. */
  readonly cacheDir?: string | undefined;
  /** What all kept splits together may take on the disk, in bytes; those used longest ago go first. Default 64 GB. */
  readonly cacheBytes?: number | undefined;
  /** Loads only the first `limit` images. */
  readonly limit?: number | undefined;
  /** Ends the decoding. */
  readonly signal?: AbortSignal | undefined;
  /** What is done to every decoded image before it is resized. */
  readonly corruption?: ChosenCorruption | undefined;
}

/** Images decoded at once: libvips decodes on the four threads of Node's pool, more would only hold memory. */
const DECODE_CONCURRENCY = 4;
/** Node 20 cannot make a larger typed array. */
const MAX_BUFFER_BYTES = 2 ** 32 - 1;
/** Some 400,000 images of 224 x 224: test and training images of the eight public tasks. */
export const DEFAULT_CACHE_BYTES = 64e9;
const CHANNELS = 3;

/**
 * Decodes a split into the cache, or finds it there. A cache file that is damaged is made anew; without a cache, or with one whose disk refuses, the
 * images are held in memory. Throws DataError naming the first image that does not decode, or when the split is too large for that.
 */
export async function loadPixels(
  dataset: ImageDataset,
  preprocessing: Preprocessing,
  options: LoadPixelsOptions = {},
): Promise<PixelStore> {
  const { height, width } = preprocessing;
  const { limit, corruption, signal } = options;
  const size = Math.min(dataset.size, limit ?? dataset.size);
  const name = `${dataset.name}, split ${dataset.split}`;
  if (size < 1) throw new DataError(`${name}: expected at least 1 image, found a limit of ${limit}`);
  const { images, fingerprint } = await loadImages({ dataset, preprocessing, size, corruption, signal }, options);
  const { classes, labels, unlabelled } = dataset;
  const base = {
    name,
    size,
    height,
    width,
    channels: CHANNELS,
    images,
    ...(classes === undefined ? {} : { classes }),
    ...(unlabelled === undefined ? {} : { unlabelled }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
  } as const;
  return labels === undefined ? base : { ...base, labels: labels.slice(0, size) };
}

/** What the pixels of a split depend on. */
interface Decoding {
  readonly dataset: ImageDataset;
  readonly preprocessing: Preprocessing;
  readonly size: number;
  readonly corruption: ChosenCorruption | undefined;
  readonly signal: AbortSignal | undefined;
}

async function loadImages(
  decoding: Decoding,
  { cacheDir, cacheBytes = DEFAULT_CACHE_BYTES }: Pick<LoadPixelsOptions, "cacheDir" | "cacheBytes">,
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

/** The images at `indices`, not copied, with their labels where there are some. */
export function selectPixels<Store extends PixelStore>(store: Store, indices: Uint32Array): Store {
  const images: ImageRows = {
    copy: (index, target, offset) => store.images.copy(indices[index] ?? -1, target, offset),
  };
  const labels = isLabelled(store) ? { labels: Int32Array.from(indices, (index) => store.labels[index] ?? -1) } : {};
  return { ...store, images, size: indices.length, ...labels };
}

/** Whether a store carries labels. */
export function isLabelled(pixels: PixelStore): pixels is LabelledPixels {
  return "labels" in pixels;
}

/** `pixels` with its labels. Throws DataError when it has none; `where` says what needs them. */
export function requireLabels(pixels: PixelStore, where: string): LabelledPixels {
  if (isLabelled(pixels)) return pixels;
  const why = pixels.unlabelled === undefined ? "" : `${pixels.unlabelled}; `;
  throw new DataError(
    `${where}: ${pixels.name}: expected labels, found an unlabelled split; ${why}choose a labelled split, add a label column or class folders, or do without: data.eval_split=null for a fit that measures no accuracy, data.eval_tasks for the tasks that have labels`,
  );
}

/** The same images (not copied) in an object that has no labels, not even hidden from the type. */
export function withoutLabels(labelled: PixelStore): UnlabelledPixels {
  const { name, size, height, width, channels, images, classes, fingerprint } = labelled;
  const base = { name, size, height, width, channels, images };
  return {
    ...base,
    ...(classes === undefined ? {} : { classes }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
  };
}
