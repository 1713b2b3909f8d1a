/**
 * The one shape in which every source of the suite hands over its images: 32 x 32 RGB, one class each.
 * Writes them as raw pixels for the trainers (never shipped).
 * Legend: N images, H height, W width, C channels; pixels are uint8, NHWC when stacked.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { writeFileAtomic } from "../../../src/runtime/atomic-file.js";

export const IMAGE_SIDE = 32;
export const IMAGE_BYTES = IMAGE_SIDE * IMAGE_SIDE * 3;

/** Every random choice of the data is keyed by this and by what it is for. */
export const DATA_SEED = 20261123;

export interface LabelledImage {
  /** uint8, 32 * 32 * 3. */
  readonly pixelsHWC: Uint8Array;
  /** Index into the classes of its collection. */
  readonly label: number;
  /** Where it comes from, unique within its collection: becomes the path column of the shipped files. */
  readonly origin: string;
}

export interface ImageCollection {
  readonly name: string;
  readonly classes: readonly string[];
  readonly images: readonly LabelledImage[];
}

/** SHA-256 of the pixels as hex: equal exactly when two images are equal pixel for pixel. */
export function pixelDigest(image: LabelledImage): string {
  return createHash("sha256").update(image.pixelsHWC).digest("hex");
}

/** Number of images of every class, in class order. */
export function classCounts(collection: ImageCollection): number[] {
  const counts = collection.classes.map(() => 0);
  for (const { label } of collection.images) counts[label] = (counts[label] ?? 0) + 1;
  return counts;
}

/**
 * Writes <folder>/<name>.images.bin (uint8 NHWC), <name>.labels.bin (little-endian int32, N) and <name>.json
 * ({name, classes, count, height, width, channels, labelType}).
 */
export async function writeRawPixels(collection: ImageCollection, folder: string): Promise<void> {
  const { name, classes, images } = collection;
  const imagesNHWC = new Uint8Array(images.length * IMAGE_BYTES);
  const labelsN = new DataView(new ArrayBuffer(images.length * 4));
  for (const [index, image] of images.entries()) {
    imagesNHWC.set(image.pixelsHWC, index * IMAGE_BYTES);
    labelsN.setInt32(index * 4, image.label, true);
  }
  const header = {
    name,
    classes,
    count: images.length,
    height: IMAGE_SIDE,
    width: IMAGE_SIDE,
    channels: 3,
    labelType: "int32",
  };
  await writeFileAtomic(join(folder, `${name}.images.bin`), imagesNHWC);
  await writeFileAtomic(join(folder, `${name}.labels.bin`), new Uint8Array(labelsN.buffer));
  await writeFileAtomic(join(folder, `${name}.json`), `${JSON.stringify(header, null, 2)}\n`);
}
