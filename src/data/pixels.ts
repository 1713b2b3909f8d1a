/**
 * All images of a split as uint8 in memory, decoded and resized once. A cache file keyed by content makes
 * the second run start at once. Labels are a separate type, so that code which adapts without labels cannot see
 * them. N images, H, W, C height, width, channels.
 */
import { DataError } from "../errors.js";
import { type ChosenCorruption, corrupt } from "./corruptions/registry.js";
import { decodeImage } from "./decode-image.js";
import { emptyImages, type ImageBlocks, imageAt } from "./image-blocks.js";
import type { ImageDataset } from "./image-dataset.js";
import { pixelCacheKey, readPixelCache, writePixelCache } from "./pixel-cache.js";
import { type Preprocessing, toPixels } from "./preprocessing.js";

/** Images without their labels: the only thing that adaptation on unlabelled data is given. */
export interface UnlabelledPixels {
  /** For messages: data set and split. */
  readonly name: string;
  readonly size: number;
  readonly height: number;
  readonly width: number;
  readonly channels: 3;
  /** N images [H, W, C]. */
  readonly pixels: ImageBlocks;
  readonly classes?: readonly string[];
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
  /** Loads only the first `limit` images. */
  readonly limit?: number | undefined;
  /** What is done to every decoded image before it is resized. */
  readonly corruption?: ChosenCorruption | undefined;
}

/** Images decoded at once: libvips decodes on the four threads of Node's pool, more would only hold memory. */
const DECODE_CONCURRENCY = 4;
/** More than the largest split of the public tasks (39 GB), and less than would only fail after hours of decoding. */
const MAX_SPLIT_BYTES = 2 ** 36;
const CHANNELS = 3;

/**
 * Decodes a split, or reads it from the cache. A cache file that is damaged or cannot be written is passed over, since
 * it only saves time. Throws DataError naming the first image that does not decode, or when the split is too large.
 */
export async function loadPixels(
  dataset: ImageDataset,
  preprocessing: Preprocessing,
  { cacheDir, limit, corruption }: LoadPixelsOptions = {},
): Promise<PixelStore> {
  const { height, width } = preprocessing;
  const size = Math.min(dataset.size, limit ?? dataset.size);
  const imageBytes = height * width * CHANNELS;
  const name = `${dataset.name}, split ${dataset.split}`;
  if (size < 1) throw new DataError(`${name}: expected at least 1 image, found a limit of ${limit}`);
  if (size * imageBytes > MAX_SPLIT_BYTES) {
    const most = Math.floor(MAX_SPLIT_BYTES / imageBytes);
    throw new DataError(
      `${name}: expected at most ${most} images of ${width} x ${height} pixels (64 GiB of memory), found ${size}; limit the images used`,
    );
  }
  const { pixels, fingerprint } = await cachedPixels({ dataset, preprocessing, size, corruption }, cacheDir);
  const { classes, labels } = dataset;
  const base = {
    name,
    size,
    height,
    width,
    channels: CHANNELS,
    pixels,
    ...(classes === undefined ? {} : { classes }),
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
}

async function cachedPixels(
  decoding: Decoding,
  cacheDir: string | undefined,
): Promise<{ pixels: ImageBlocks; fingerprint?: string }> {
  const { dataset, preprocessing, size, corruption } = decoding;
  const room = emptyImages(size, preprocessing.height * preprocessing.width * CHANNELS);
  if (cacheDir === undefined) return { pixels: await decodeAll(decoding, room) };
  const key = await pixelCacheKey(dataset, preprocessing, size, corruption);
  const cached = await readPixelCache(cacheDir, key, room);
  if (cached !== undefined) return { pixels: cached, fingerprint: key };
  const pixels = await decodeAll(decoding, room);
  await writePixelCache(cacheDir, key, pixels);
  return { pixels, fingerprint: key };
}

async function decodeAll(
  { dataset, preprocessing, size, corruption }: Decoding,
  room: ImageBlocks,
): Promise<ImageBlocks> {
  let next = 0;
  let failed = false;
  const work = async () => {
    while (next < size && !failed) {
      const index = next++;
      try {
        const where = dataset.locate(index);
        const decoded = await decodeImage(await dataset.encoded(index), where);
        const image = corruption === undefined ? decoded : await corrupt(decoded, corruption, index);
        imageAt(room, index).set(await toPixels(image, preprocessing, where));
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: DECODE_CONCURRENCY }, work));
  return room;
}

/** The images at `indices`, copied, with their labels where there are some. */
export function selectPixels<Store extends PixelStore>(store: Store, indices: Uint32Array): Store {
  const imageBytes = store.height * store.width * store.channels;
  const pixels = emptyImages(indices.length, imageBytes);
  for (const [position, index] of indices.entries()) imageAt(pixels, position).set(imageAt(store.pixels, index));
  const labels = isLabelled(store) ? { labels: Int32Array.from(indices, (index) => store.labels[index] ?? -1) } : {};
  return { ...store, pixels, size: indices.length, ...labels };
}

/** Whether a store carries labels. */
export function isLabelled(pixels: PixelStore): pixels is LabelledPixels {
  return "labels" in pixels;
}

/** `pixels` with its labels. Throws DataError when it has none; `where` says what needs them. */
export function requireLabels(pixels: PixelStore, where: string): LabelledPixels {
  if (isLabelled(pixels)) return pixels;
  throw new DataError(
    `${where}: ${pixels.name}: expected labels, found an unlabelled split; choose a labelled split, add a label column or class folders, or do without: data.eval_split=null for a fit that measures no accuracy, data.eval_tasks for the tasks that have labels`,
  );
}

/** The same images (not copied) in an object that has no labels, not even hidden from the type. */
export function withoutLabels(labelled: PixelStore): UnlabelledPixels {
  const { name, size, height, width, channels, pixels, classes, fingerprint } = labelled;
  const base = { name, size, height, width, channels, pixels };
  return {
    ...base,
    ...(classes === undefined ? {} : { classes }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
  };
}
