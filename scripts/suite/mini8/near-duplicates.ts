/**
 * Finds images that are nearly the same: pairs whose pixels differ by at most a few levels in root mean square. Exact, and fast because
 * the difference of block means bounds that of the pixels from below (Jensen), so that almost every pair is dismissed after
 * a few numbers. N images, D numbers of a thumbnail.
 */
import { IMAGE_BYTES, IMAGE_SIDE, type LabelledImage } from "./labelled-images.js";
import { SHIPPED_SPLITS, type TaskSplits } from "./splits.js";

/** Below this root mean square of levels (0..255) two images are the same to the eye. */
export const NEAR_LEVELS = 10;

const BLOCK = 4;
const THUMBNAIL_SIDE = IMAGE_SIDE / BLOCK;
const THUMBNAIL = THUMBNAIL_SIDE * THUMBNAIL_SIDE * 3;

/** For each image of `images`, whether some image of `others` is nearly the same. */
export function nearlyIn(images: readonly LabelledImage[], others: readonly LabelledImage[]): boolean[] {
  const [own, pool] = [thumbnails(images), thumbnails(others)];
  const limit = NEAR_LEVELS ** 2 * THUMBNAIL;
  return images.map((image, row) => {
    for (let other = 0; other < others.length; other++) {
      if (!within(own, row * THUMBNAIL, pool, other * THUMBNAIL, THUMBNAIL, limit)) continue;
      const pixels = others[other]?.pixelsHWC;
      if (pixels === undefined || pixels === image.pixelsHWC) continue;
      if (within(image.pixelsHWC, 0, pixels, 0, IMAGE_BYTES, NEAR_LEVELS ** 2 * IMAGE_BYTES)) return true;
    }
    return false;
  });
}

/** Whether the squared distance of two runs of numbers is at most `limit`. */
function within(
  a: Float32Array | Uint8Array,
  fromA: number,
  b: Float32Array | Uint8Array,
  fromB: number,
  length: number,
  limit: number,
): boolean {
  let total = 0;
  for (let index = 0; index < length; index++) {
    const difference = (a[fromA + index] ?? 0) - (b[fromB + index] ?? 0);
    total += difference * difference;
    if (total > limit) return false;
  }
  return true;
}

/** Block means [N, D], as float32. */
function thumbnails(images: readonly LabelledImage[]): Float32Array {
  const all = new Float32Array(images.length * THUMBNAIL);
  for (const [row, { pixelsHWC }] of images.entries()) {
    for (let at = 0; at < IMAGE_BYTES; at++) {
      const pixel = Math.floor(at / 3);
      const [y, x] = [Math.floor(pixel / IMAGE_SIDE / BLOCK), Math.floor((pixel % IMAGE_SIDE) / BLOCK)];
      const target = row * THUMBNAIL + (y * THUMBNAIL_SIDE + x) * 3 + (at % 3);
      all[target] = (all[target] ?? 0) + (pixelsHWC[at] ?? 0) / BLOCK ** 2;
    }
  }
  return all;
}

/** How many images of one split have a near twin in another split of the same task. */
export interface NearLine {
  readonly where: string;
  readonly in: string;
  readonly images: number;
  readonly removed: boolean;
}

/** Training images without near twins in adapt, val or test; also counts twins among the shipped splits, which stay. */
export function dropNearDuplicates(task: TaskSplits, report: NearLine[]): LabelledImage[] {
  let train = [...task.train];
  for (const split of SHIPPED_SPLITS) {
    const twins = nearlyIn(train, task[split]);
    const images = twins.filter(Boolean).length;
    if (images > 0) report.push({ where: `${task.name}/train`, in: `${task.name}/${split}`, images, removed: true });
    train = train.filter((_, index) => twins[index] !== true);
  }
  for (const [one, other] of [
    ["test", "val"],
    ["test", "adapt"],
    ["val", "adapt"],
  ] as const) {
    const images = nearlyIn(task[one], task[other]).filter(Boolean).length;
    if (images > 0) report.push({ where: `${task.name}/${one}`, in: `${task.name}/${other}`, images, removed: false });
  }
  return train;
}
