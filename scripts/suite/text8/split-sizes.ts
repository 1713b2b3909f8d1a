/**
 * How many texts a task has in each split. 500 test texts put the standard error of an expert's accuracy (90 %) at 1.3 points; sources
 * with fewer texts give less, so that their experts still have about a thousand to train on. Train takes what there is up to its size.
 */

/** Adapt is what the optimizer may see without labels; all but train are shipped. */
export const SHIPPED_SPLITS = ["adapt", "val", "test"] as const;
export type ShippedSplit = (typeof SHIPPED_SPLITS)[number];

/** In the order in which they are filled. */
export const SPLITS = ["test", "val", "adapt", "train"] as const;
export type Split = (typeof SPLITS)[number];

export type SplitSizes = Readonly<Record<Split, number>>;

const LARGE: SplitSizes = { test: 500, val: 300, adapt: 500, train: 3000 };

const SMALL: ReadonlyMap<string, SplitSizes> = new Map([
  ["emoji", { test: 250, val: 100, adapt: 200, train: 800 }],
  ["game", { test: 300, val: 150, adapt: 250, train: 1400 }],
  ["industries", { test: 300, val: 100, adapt: 200, train: 600 }],
]);

export function splitSizes(task: string): SplitSizes {
  return SMALL.get(task) ?? LARGE;
}
