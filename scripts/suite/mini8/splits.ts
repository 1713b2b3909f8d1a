/**
 * The splits of a task and the leak check: no image may occur twice, neither inside a split, nor in two splits,
 * nor in a task and in the pretraining mix. Equality is of pixels (SHA-256); that related drawings (one emoji of
 * several vendors, one letter of a font family) stay on one side is the business of the sources.
 */
import { type ImageCollection, type LabelledImage, pixelDigest } from "./labelled-images.js";

/** Adapt is what the optimizer may see without labels; all but train are shipped. */
export const SHIPPED_SPLITS = ["adapt", "val", "test"] as const;
export type ShippedSplit = (typeof SHIPPED_SPLITS)[number];

/** Images per shipped split. */
export const SPLIT_SIZES: Readonly<Record<ShippedSplit, number>> = { adapt: 1000, val: 500, test: 1000 };

/** Sources hand over this much more than the size, so that removed duplicates can be replaced. */
export const SPARE_FRACTION = 0.03;

export interface TaskSplits {
  readonly name: string;
  readonly classes: readonly string[];
  readonly train: readonly LabelledImage[];
  readonly adapt: readonly LabelledImage[];
  readonly val: readonly LabelledImage[];
  readonly test: readonly LabelledImage[];
}

/** How many images the leak check removed from one collection, and from which copy they were. */
export interface LeakLine {
  readonly where: string;
  readonly duplicateOf: string;
  readonly removed: number;
}

/** Removes every image seen before; the first to come keeps it, so test comes first and pretraining last. */
export class LeakCheck {
  readonly #seen = new Map<string, string>();
  readonly #removed = new Map<string, number>();

  /** The images of `images` not seen before, in order; `where` names the collection in the report. */
  keepNew(where: string, images: readonly LabelledImage[]): LabelledImage[] {
    return images.filter((image) => {
      const digest = pixelDigest(image);
      const owner = this.#seen.get(digest);
      if (owner === undefined) {
        this.#seen.set(digest, where);
        return true;
      }
      const key = JSON.stringify([where, owner]);
      this.#removed.set(key, (this.#removed.get(key) ?? 0) + 1);
      return false;
    });
  }

  /** What was removed so far. */
  report(): LeakLine[] {
    return [...this.#removed].map(([key, removed]) => {
      const [where = "", duplicateOf = ""]: string[] = JSON.parse(key);
      return { where, duplicateOf, removed };
    });
  }
}

/** The task without duplicates and with the shipped splits cut to their sizes. What is cut off is not reused. */
export function withoutLeaks(task: TaskSplits, check: LeakCheck): TaskSplits {
  const keep = (split: "train" | ShippedSplit) => check.keepNew(`${task.name}/${split}`, task[split]);
  const test = keep("test").slice(0, SPLIT_SIZES.test);
  const val = keep("val").slice(0, SPLIT_SIZES.val);
  const adapt = keep("adapt").slice(0, SPLIT_SIZES.adapt);
  return { name: task.name, classes: task.classes, test, val, adapt, train: keep("train") };
}

/** One split of a task as a collection of its own, named <task>-<split>. */
export function splitCollection(task: TaskSplits, split: "train" | ShippedSplit): ImageCollection {
  return { name: `${task.name}-${split}`, classes: task.classes, images: task[split] };
}
