/**
 * The images of one expert as `adamerge init` finds them, and which of them a run learns from, chooses on and is judged on. Splits that a data set
 * has itself are kept; one labelled collection is divided class by class, by a draw that depends on nothing but the expert's name and the files,
 * and written down as a manifest; images without labels are all learned from.
 */
import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { datasetSplits, openDataset } from "../../data/dataset.js";
import type { Dataset } from "../../data/readers/dataset-reader.js";
import { presentFile } from "../../data/readers/file-names.js";
import { READ_FORMATS } from "../../data/readers/passed-over.js";
import { firstsByPixels, repeatNotices } from "../../data/repeated-examples.js";
import { DataError } from "../../errors.js";
import { printable } from "../../runtime/printable.js";
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
  /** The classes are numbers, which have no names: others may be given. */
  readonly areNumbers: boolean;
  /** Whether `test` has labels. */
  readonly isJudged: boolean;
  readonly counts: ReadonlyMap<RunSplit, number>;
  /** Which split heads can be made from; undefined without labels. */
  readonly headSplit: RunSplit | undefined;
  /** What was assumed, in a sentence. */
  readonly assumed: string;
  /** What the data set passed over or assumed, and repeated images, in sentences. */
  readonly notices: readonly string[];
  /** Splits without labels: why. */
  readonly unlabelled: readonly string[];
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
export async function lookAtImages(
  name: string,
  path: string,
  needsHead: boolean,
  signal?: AbortSignal,
): Promise<ImageSource> {
  const where = `--images ${name}`;
  const file = await stat(path).catch(() => undefined);
  const isFile = file?.isFile() === true;
  if (isFile && !path.endsWith(".csv"))
    throw new DataError(`${where}: ${path}: expected a folder or a .csv file, found another file; check the path`);
  const dataset = isFile ? dirname(path) : path;
  const own =
    isFile && basename(path) !== "manifest.csv" ? [basename(path, ".csv")] : await datasetSplits(dataset, where);
  const place = { name, dataset, where, needsHead, signal };
  const source = own.length > 1 ? await ofOwnSplits(place, own) : await ofCollection(place, own[0]);
  if (needsHead && source.headSplit === undefined)
    throw new DataError(
      `${where}: ${path}: expected labels (a folder per class, or a column label), since the expert ${name} has no head, found none${source.unlabelled.length === 0 ? "" : ` (${source.unlabelled.join("; ")})`}; give --head ${name}=FILE, or labelled images`,
    );
  return source;
}

interface Place {
  readonly name: string;
  readonly dataset: string;
  readonly where: string;
  readonly needsHead: boolean;
  readonly signal: AbortSignal | undefined;
}

/** A data set's own splits by what they are like; those that are absent are undefined. */
interface OwnSplits {
  readonly test: string;
  readonly train: string | undefined;
  readonly val: string | undefined;
}

async function ofOwnSplits({ name, dataset, where, needsHead }: Place, own: readonly string[]): Promise<ImageSource> {
  const likeOf = ownSplitsLike(own, dataset, where);
  const opened = new Map<string, Dataset>();
  const notices = new Set<string>();
  const notice = (text: string) => notices.add(text);
  for (const split of new Set([likeOf.train ?? likeOf.test, likeOf.val ?? likeOf.test, likeOf.test])) {
    const classes = [...opened.values()].find(({ labels }) => labels !== undefined)?.classes;
    opened.set(split, await openDataset({ path: dataset, split, classes, where, notice }));
  }
  const isLabelled = (split: string | undefined) => split !== undefined && opened.get(split)?.labels !== undefined;
  const splits = runSplits(likeOf, isLabelled, needsHead);
  const isJudged = isLabelled(splits.get("test"));
  const head = needsHead ? headOf(splits, isLabelled) : undefined;
  const named = [...splits].map(([run, split]) => (run === split ? run : `${run} is its ${split}`)).join(", ");
  // The classes of what is judged; else those of any split that has some.
  const labelledSplit = [splits.get("test"), ...opened.keys()].find(isLabelled);
  const labelled = labelledSplit === undefined ? undefined : opened.get(labelledSplit);
  const unlabelled = [...opened].flatMap(([split, { labels, unlabelled: why }]) =>
    labels === undefined ? [`its split ${split} has no labels${why === undefined ? "" : `: ${why}`}`] : [],
  );
  const without = labelled === undefined || unlabelled.length === 0 ? "" : `; ${unlabelled.join("; ")}`;
  return {
    name,
    dataset,
    splits,
    manifest: undefined,
    ...classesOf(labelled, where),
    isJudged,
    counts: new Map([...splits].map(([run, split]) => [run, opened.get(split)?.size ?? 0])),
    headSplit: labelled === undefined ? undefined : (head ?? "adapt"),
    assumed: `${name}: its own splits: ${named}${without}${isJudged || labelled === undefined ? "" : "; no accuracy is measured"}`,
    notices: [...notices],
    unlabelled,
  };
}

function ownSplitsLike(own: readonly string[], dataset: string, where: string): OwnSplits {
  const find = (names: readonly string[], taken: readonly (string | undefined)[] = []) =>
    names
      .map((wanted) => own.find((split) => split.toLowerCase() === wanted))
      .find((split) => split && !taken.includes(split));
  const test = find(TEST_NAMES);
  if (test === undefined)
    throw new DataError(
      `${where}: ${dataset}: expected splits such as train and test, found ${own.join(", ")}; rename them, or give one of them by its own folder or file`,
    );
  return { test, train: find(ADAPT_NAMES), val: find(VAL_NAMES, [test]) };
}

/**
 * Which of its own splits a run takes for what. Where test has no labels and a head has to be made, as competitions have it: the head of train's
 * labels, entropies on test, and accuracy on val if that has labels.
 */
function runSplits(
  { test, train, val }: OwnSplits,
  isLabelled: (split: string | undefined) => boolean,
  needsHead: boolean,
): ReadonlyMap<RunSplit, string> {
  const head = [train, val].find(isLabelled);
  if (needsHead && !isLabelled(test) && head !== undefined) {
    const judged = isLabelled(val) && val !== head ? val : undefined;
    return new Map([["head", head], ["adapt", test], ...(judged ? [["test", judged] as const] : [])]);
  }
  return new Map([["adapt", train ?? test], ...(val ? [["val", val] as const] : []), ["test", test]]);
}

/** The split to make a head from: one that is not judged, where one has labels. */
function headOf(
  splits: ReadonlyMap<RunSplit, string>,
  isLabelled: (split: string | undefined) => boolean,
): RunSplit | undefined {
  const test = splits.get("test");
  const runs = (["head", "adapt", "val", "test"] as const).filter((run) => isLabelled(splits.get(run)));
  const unjudged = runs.filter((run) => splits.get(run) !== test);
  return unjudged[0] ?? (runs.includes("adapt") ? "adapt" : runs[0]);
}

async function ofCollection(place: Place, split: string | undefined): Promise<ImageSource> {
  const { name, dataset, where, needsHead, signal } = place;
  const opened = await openDataset({ path: dataset, split: split ?? WHOLE, where });
  const splits = (runs: readonly RunSplit[]) =>
    split === undefined ? undefined : new Map(runs.map((run): [RunSplit, string] => [run, split]));
  const base = { name, dataset, manifest: undefined, notices: opened.notices ?? [], unlabelled: [] };
  if (opened.labels === undefined)
    return {
      ...base,
      splits: splits(["adapt"]),
      ...classesOf(undefined, where),
      isJudged: false,
      counts: new Map([["adapt", opened.size]]),
      headSplit: undefined,
      assumed: `${name}: no labels: all images are learned from, none is judged`,
      unlabelled: opened.unlabelled === undefined ? [] : [opened.unlabelled],
    };
  const classes = classesOf(opened, where);
  if (opened.files === undefined) {
    const counts = new Map(["adapt" as const, "val" as const, "test" as const].map((run) => [run, opened.size]));
    return {
      ...base,
      splits: splits(["adapt", "val", "test"]),
      ...classes,
      isJudged: true,
      counts,
      headSplit: "adapt",
      assumed: `${name}: one split (${split ?? WHOLE}) whose images are not files of their own: learned from and judged on alike`,
    };
  }
  const shares = needsHead ? SHARES_WITH_HEAD : SHARES;
  const firsts = await firstsByPixels(opened, signal);
  const manifest = await divide(name, opened, classes.classes ?? [], shares, firsts);
  const counts = new Map<RunSplit, number>();
  for (const row of manifest) counts.set(row.split, (counts.get(row.split) ?? 0) + 1);
  const shown = shares.map(([run, share]) => `${run} ${100 * share} %`).join(", ");
  return {
    ...base,
    splits: undefined,
    manifest,
    ...classes,
    isJudged: true,
    counts,
    headSplit: needsHead ? "head" : "adapt",
    assumed: `${name}: one collection, divided by chance class by class (${shown})`,
    notices: [...base.notices, ...repeatNotices(dataset, firsts, opened.labels)],
  };
}

/**
 * In an order drawn by name and class; each image goes where most is lacking, so that the first of a class go where one is needed most, and all
 * that are the same go where the first of them went. `firsts`: for each image the first that is the same.
 */
async function divide(
  name: string,
  { files = [], labels = new Int32Array(), emptyClasses }: Dataset,
  classes: readonly string[],
  shares: readonly (readonly [RunSplit, number])[],
  firsts: Int32Array,
): Promise<readonly ManifestRow[]> {
  const rows: ManifestRow[] = [];
  const placed = new Map<number, RunSplit>();
  for (const [number, label] of classes.entries()) {
    const own = [...files.keys()].filter((index) => labels[index] === number);
    if (own.length === 0) throw noneOf(name, label, emptyClasses?.get(label));
    const given = new Map<RunSplit, number>();
    for (const [turn, position] of permutation(own.length, createRng("init", name, label)).entries()) {
      const index = own[position] ?? 0;
      const first = firsts[index] ?? index;
      const lack = ([run, share]: readonly [RunSplit, number]) => share * (turn + 1) - (given.get(run) ?? 0);
      const [lacking] = shares.reduce((most, next) => (lack(next) > lack(most) + 1e-9 ? next : most));
      const split = placed.get(first) ?? lacking;
      placed.set(first, split);
      given.set(split, (given.get(split) ?? 0) + 1);
      const file = files[index] ?? "";
      // As the disk calls it, which may compose accents otherwise than the manifest it was found by.
      rows.push({ file: (await presentFile(file)) ?? file, label, split });
    }
  }
  // Not class after class: the first so many of a split are of all classes.
  return [...permutation(rows.length, createRng("init", name, "order"))].flatMap((index) => rows[index] ?? []);
}

function noneOf(name: string, label: string, there: string | undefined): DataError {
  const found = there === undefined ? "" : ` (its folder has ${there}; read are ${READ_FORMATS})`;
  return new DataError(
    `--images ${name}: expected an image of every class, found none of ${printable(label)}${found}; add some`,
  );
}

/** Numbers without names are their own names. */
function classesOf(dataset: Dataset | undefined, where: string): Pick<ImageSource, "classes" | "areNumbers"> {
  const { classes, labels } = dataset ?? {};
  if (labels === undefined) return { classes: undefined, areNumbers: false };
  const areNumbers = classes === undefined;
  const names =
    classes ??
    Array.from({ length: labels.reduce((most, label) => Math.max(most, label), 0) + 1 }, (_, number) => String(number));
  if (names.length >= 2) return { classes: names, areNumbers };
  throw new DataError(
    `${where}: expected at least 2 classes, found ${names.length} (${names.join(", ")}) for ${labels.length} images; is this the folder above the class folders?`,
  );
}
