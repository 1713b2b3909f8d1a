/**
 * The images of one expert as `adamerge init` finds them, and which of them a run learns from, chooses on and is judged on. Splits that a data set
 * has itself are kept; one labelled collection is divided class by class, by a draw that depends on nothing but the expert's name and the files,
 * and written down as a manifest; images without labels are all learned from.
 */
import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { datasetSplits, openDataset } from "../../data/dataset.js";
import type { ImageDataset } from "../../data/image-dataset.js";
import { DataError } from "../../errors.js";
import { createRng, permutation } from "../../runtime/rng.js";

/** Splits by the names that runs use. `head`: images that only make the head. */
export type RunSplit = "head" | "adapt" | "val" | "test";

export interface ManifestRow {
  /** Absolute. */
  readonly file: string;
  readonly label: string;
  readonly split: RunSplit;
}

export interface ImageSource {
  readonly name: string;
  /** Directory of the data set, absolute. */
  readonly dataset: string;
  /** The data set's own names of splits; undefined where they are those of runs. */
  readonly splits: ReadonlyMap<RunSplit, string> | undefined;
  /** To be written, and read instead of `dataset`. */
  readonly manifest: readonly ManifestRow[] | undefined;
  /** Undefined: no image has a label. */
  readonly classes: readonly string[] | undefined;
  readonly counts: ReadonlyMap<RunSplit, number>;
  /** Which split heads can be made from; undefined without labels. */
  readonly headSplit: RunSplit | undefined;
  /** What was assumed, in a sentence. */
  readonly assumed: string;
}

/** Own names of splits for each of a run's, best first. */
const TEST_NAMES = ["test", "testing", "validation", "valid", "val", "dev"];
const ADAPT_NAMES = ["adapt", "train", "training"];
const VAL_NAMES = ["val", "valid", "validation", "dev"];
/** How one collection is divided, with and without images set apart for the head. */
const SHARES_WITH_HEAD: readonly (readonly [RunSplit, number])[] = [
  ["head", 0.3],
  ["test", 0.3],
  ["adapt", 0.3],
  ["val", 0.1],
];
const SHARES: readonly (readonly [RunSplit, number])[] = [
  ["test", 0.5],
  ["adapt", 0.4],
  ["val", 0.1],
];
/** Any name does for a folder without splits. */
const WHOLE = "all";

/**
 * Looks at `path`: a directory in any layout that is read, or a CSV file. `needsHead`: there is no classifier, so that labels have to make one.
 * Throws DataError for what cannot be read, and for a head that would need labels where there are none.
 */
export async function lookAtImages(name: string, path: string, needsHead: boolean): Promise<ImageSource> {
  const where = `--images ${name}`;
  const file = await stat(path).catch(() => undefined);
  const isFile = file?.isFile() === true;
  if (isFile && !path.endsWith(".csv"))
    throw new DataError(`${where}: ${path}: expected a folder or a .csv file, found another file; check the path`);
  const dataset = isFile ? dirname(path) : path;
  const own =
    isFile && basename(path) !== "manifest.csv" ? [basename(path, ".csv")] : await datasetSplits(dataset, where);
  const source =
    own.length > 1
      ? await ofOwnSplits({ name, dataset, where }, own)
      : await ofCollection({ name, dataset, where }, own[0], needsHead);
  if (needsHead && source.headSplit === undefined)
    throw new DataError(
      `${where}: ${path}: expected labels (a folder per class, or a column label), since the expert ${name} has no head, found none; give --head ${name}=FILE, or labelled images`,
    );
  return source;
}

interface Place {
  readonly name: string;
  readonly dataset: string;
  readonly where: string;
}

async function ofOwnSplits({ name, dataset, where }: Place, own: readonly string[]): Promise<ImageSource> {
  const find = (names: readonly string[], taken: readonly (string | undefined)[] = []) =>
    names
      .map((wanted) => own.find((split) => split.toLowerCase() === wanted))
      .find((split) => split && !taken.includes(split));
  const test = find(TEST_NAMES);
  const adapt = find(ADAPT_NAMES) ?? test;
  const val = find(VAL_NAMES, [test]);
  if (test === undefined || adapt === undefined)
    throw new DataError(
      `${where}: ${dataset}: expected splits such as train and test, found ${own.join(", ")}; rename them, or give one of them by its own folder or file`,
    );
  const splits = new Map<RunSplit, string>([["adapt", adapt], ...(val ? [["val", val] as const] : []), ["test", test]]);
  const counts = new Map<RunSplit, number>();
  let labelled: ImageDataset | undefined;
  for (const [run, split] of splits) {
    const opened = await openDataset({ path: dataset, split, classes: labelled?.classes, where });
    counts.set(run, opened.size);
    if (opened.labels !== undefined && (run === "test" || labelled === undefined)) labelled = opened;
    if (run === "test" && opened.labels === undefined) labelled = undefined;
  }
  const classes = labelled?.labels === undefined ? undefined : namesOf(labelled, where);
  const named = [...splits].map(([run, split]) => (run === split ? run : `${run} is its ${split}`)).join(", ");
  return {
    name,
    dataset,
    splits,
    manifest: undefined,
    classes,
    counts,
    headSplit: classes === undefined ? undefined : adapt === test && val ? "val" : "adapt",
    assumed: `${name}: its own splits: ${named}`,
  };
}

async function ofCollection(
  { name, dataset, where }: Place,
  split: string | undefined,
  needsHead: boolean,
): Promise<ImageSource> {
  const opened = await openDataset({ path: dataset, split: split ?? WHOLE, where });
  const splits = (runs: readonly RunSplit[]) =>
    split === undefined ? undefined : new Map(runs.map((run): [RunSplit, string] => [run, split]));
  const base = { name, dataset, manifest: undefined };
  if (opened.labels === undefined)
    return {
      ...base,
      splits: splits(["adapt"]),
      classes: undefined,
      counts: new Map([["adapt", opened.size]]),
      headSplit: undefined,
      assumed: `${name}: no labels: all images are learned from, none is judged`,
    };
  const classes = namesOf(opened, where);
  if (opened.files === undefined) {
    const counts = new Map(["adapt" as const, "val" as const, "test" as const].map((run) => [run, opened.size]));
    return {
      ...base,
      splits: splits(["adapt", "val", "test"]),
      classes,
      counts,
      headSplit: "adapt",
      assumed: `${name}: one split (${split ?? WHOLE}) whose images are not files of their own: learned from and judged on alike`,
    };
  }
  const manifest = divide(name, opened, classes, needsHead ? SHARES_WITH_HEAD : SHARES);
  const counts = new Map<RunSplit, number>();
  for (const row of manifest) counts.set(row.split, (counts.get(row.split) ?? 0) + 1);
  const shares = (needsHead ? SHARES_WITH_HEAD : SHARES).map(([run, share]) => `${run} ${100 * share} %`).join(", ");
  return {
    ...base,
    splits: undefined,
    manifest,
    classes,
    counts,
    headSplit: needsHead ? "head" : "adapt",
    assumed: `${name}: one collection, divided by chance class by class (${shares})`,
  };
}

/** In an order drawn by name and class; each image goes where most is lacking, so that the first of a class go where one is needed most. */
function divide(
  name: string,
  { files = [], labels = new Int32Array() }: ImageDataset,
  classes: readonly string[],
  shares: readonly (readonly [RunSplit, number])[],
): readonly ManifestRow[] {
  const rows: ManifestRow[] = [];
  for (const [number, label] of classes.entries()) {
    const own = files.filter((_, index) => labels[index] === number);
    if (own.length === 0)
      throw new DataError(`--images ${name}: expected an image of every class, found none of ${label}; add some`);
    const given = new Map<RunSplit, number>();
    for (const [turn, index] of permutation(own.length, createRng("init", name, label)).entries()) {
      const lack = ([run, share]: readonly [RunSplit, number]) => share * (turn + 1) - (given.get(run) ?? 0);
      const [split] = shares.reduce((most, next) => (lack(next) > lack(most) + 1e-9 ? next : most));
      given.set(split, (given.get(split) ?? 0) + 1);
      rows.push({ file: own[index] ?? "", label, split });
    }
  }
  // Not class after class: the first so many of a split are of all classes.
  return [...permutation(rows.length, createRng("init", name, "order"))].flatMap((index) => rows[index] ?? []);
}

function namesOf({ classes, labels }: ImageDataset, where: string): readonly string[] {
  if (classes === undefined)
    throw new DataError(
      `${where}: expected names of the classes, found numbers alone; use a folder per class or a CSV manifest`,
    );
  if (classes.length >= 2) return classes;
  throw new DataError(
    `${where}: expected at least 2 classes, found ${classes.length} (${classes.join(", ")}) for ${labels?.length ?? 0} images; is this the folder above the class folders?`,
  );
}
