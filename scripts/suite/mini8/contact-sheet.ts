/** One PNG that shows many images of a collection, a row per class: for looking at the data, never shipped. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { IMAGE_SIDE, type ImageCollection } from "./labelled-images.js";

const COLUMNS = 30;
const GAP = 2;
const CELL = IMAGE_SIDE + GAP;

/** Writes <folder>/<name>.png with the first 30 images of every class. */
export async function writeContactSheet(collection: ImageCollection, folder: string): Promise<void> {
  const width = COLUMNS * CELL + GAP;
  const height = collection.classes.length * CELL + GAP;
  const sheet = new Uint8Array(width * height * 3).fill(128);
  const used = collection.classes.map(() => 0);
  for (const { label, pixelsHWC } of collection.images) {
    const column = used[label] ?? COLUMNS;
    if (column >= COLUMNS) continue;
    used[label] = column + 1;
    for (let row = 0; row < IMAGE_SIDE; row++) {
      const at = ((GAP + label * CELL + row) * width + GAP + column * CELL) * 3;
      sheet.set(pixelsHWC.subarray(row * IMAGE_SIDE * 3, (row + 1) * IMAGE_SIDE * 3), at);
    }
  }
  await mkdir(folder, { recursive: true });
  await sharp(sheet, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(join(folder, `${collection.name}.png`));
}
