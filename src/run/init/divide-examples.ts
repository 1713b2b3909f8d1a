/**
 * One labelled collection as the splits of a run: divided class by class, by a draw that depends on nothing but the expert's name and the examples,
 * and written down as a manifest: of files by their paths, of texts by themselves, so that it stays what it is when their file changes.
 */
import { dividedExamples } from "../../data/divide.js";
import { kindOf } from "../../data/kinds.js";
import type { Dataset } from "../../data/readers/dataset-reader.js";
import { presentFile } from "../../data/readers/file-names.js";
import { DataError } from "../../errors.js";
import { printable, printableList } from "../../runtime/printable.js";
import { createRng, permutation } from "../../runtime/rng.js";

/** Splits by the names that runs use. `head`: examples that only make the head. */
export type RunSplit = "head" | "adapt" | "val" | "test";
export type Shares<Split extends string = RunSplit> = readonly (readonly [Split, number])[];

/** One example of a person's own in the table that `init` writes. */
export interface ManifestRow<Split extends string = RunSplit> {
  /** The absolute path of a file, or a text. */
  readonly example: string;
  /** The other text of a pair. */
  readonly second?: string;
  readonly label: string;
  readonly split: Split;
}

/** How one collection is divided, with and without examples set apart for the head. */
const SHARES_WITH_HEAD: Shares = [
  ["head", 0.3],
  ["test", 0.3],
  ["adapt", 0.3],
  ["val", 0.1],
];
const SHARES: Shares = [
  ["test", 0.5],
  ["adapt", 0.4],
  ["val", 0.1],
];
/** A manifest of texts is made in memory, and text of JavaScript ends at 500 MB. */
const MAX_TEXT_BYTES = 200e6;
/** Most classes that a sentence names. */
const NAMED_CLASSES = 5;

export function sharesOf(needsHead: boolean): Shares {
  return needsHead ? SHARES_WITH_HEAD : SHARES;
}

export interface Division<Split extends string = RunSplit> {
  readonly name: string;
  /** Who asks; the beginning of errors. */
  readonly where: string;
  readonly classes: readonly string[];
  readonly shares: Shares<Split>;
  /** For each example the first that is the same. */
  readonly firsts: Int32Array;
}

/**
 * In an order drawn by name and class (data/divide.ts). Throws DataError for a class without examples.
 */
export async function divide<Split extends string>(
  dataset: Dataset,
  division: Division<Split>,
): Promise<readonly ManifestRow<Split>[]> {
  const { name, classes, shares, firsts } = division;
  const { labels = new Int32Array() } = dataset;
  const there = new Set(labels);
  const empty = classes.find((_, number) => !there.has(number));
  if (empty !== undefined) throw noneOf(dataset, division, empty);
  const rows: ManifestRow<Split>[] = [];
  const read = examplesOf(dataset, division);
  for (const { index, label, part } of dividedExamples({ labels, classes, shares, firsts, draw: ["init", name] }))
    rows.push({ ...(await read(index)), label, split: part });
  // Not class after class: the first so many of a split are of all classes.
  return [...permutation(rows.length, createRng("init", name, "order"))].flatMap((index) => rows[index] ?? []);
}

type Example = Pick<ManifestRow, "example" | "second">;

/** The sentence about classes with too few examples for every split; none where there are none. `place` begins it. */
export function thinClassNotices<Split extends string>(
  place: string,
  rows: readonly ManifestRow<Split>[],
  shares: Shares<Split>,
): readonly string[] {
  const splitsOf = new Map<string, Set<Split>>();
  for (const { label, split } of rows) splitsOf.set(label, (splitsOf.get(label) ?? new Set<Split>()).add(split));
  const thin = [...splitsOf].filter(([, found]) => found.size < shares.length);
  if (thin.length === 0) return [];
  const few = thin.length === 1 ? "a class has" : `${thin.length} classes have`;
  const named = thin.map(([label, found]) => {
    const own = shares.flatMap(([split]) => (found.has(split) ? [split] : []));
    return `${label} (only in ${own.join(", ")})`;
  });
  return [`${place}: ${few} too few examples for every split: ${printableList(named.toSorted(), NAMED_CLASSES)}`];
}

function examplesOf(
  { kind, files, encoded, second }: Dataset,
  { where }: Pick<Division, "where">,
): (index: number) => Promise<Example> {
  if (kindOf(kind).columns.inManifests === "paths")
    return async (index) => {
      const file = files?.[index] ?? "";
      // As the disk calls it, which may compose accents otherwise than the manifest it was found by.
      return { example: (await presentFile(file)) ?? file };
    };
  let total = 0;
  const text = async (bytes: Promise<Uint8Array>) => {
    const read = Buffer.from(await bytes);
    total += read.length;
    if (total <= MAX_TEXT_BYTES) return read.toString("utf8");
    throw new DataError(
      `${where}: expected at most ${MAX_TEXT_BYTES / 1e6} MB of texts in one collection, since the division is written with them, found more; divide it into train.csv and test.csv, or parquet files of these names`,
    );
  };
  return async (index) => ({
    example: await text(encoded(index)),
    ...(second === undefined ? {} : { second: await text(second(index)) }),
  });
}

function noneOf({ kind, emptyClasses }: Dataset, { where }: Pick<Division, "where">, label: string): DataError {
  const there = emptyClasses?.get(label);
  const { some, files } = kindOf(kind);
  const found = there === undefined ? "" : ` (its folder has ${there}; read are ${files.formats})`;
  return new DataError(
    `${where}: expected ${some} of every class, found none of ${printable(label)}${found}; add some`,
  );
}
