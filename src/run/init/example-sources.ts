/**
 * The images or texts of one expert as `adamerge init` finds them, and which of them a run learns from, chooses on and is judged on. Splits that a
 * data set has itself are kept; one labelled collection is divided (divide-examples.ts); examples without labels are all learned from.
 */
import { alignClasses, classNames } from "../../data/classes.js";
import { openDataset } from "../../data/dataset.js";
import type { KindName } from "../../data/kind.js";
import { kindOf } from "../../data/kinds.js";
import { type ColumnNaming, namedInSuite, namedInTable } from "../../data/readers/columns.js";
import type { Dataset } from "../../data/readers/dataset-reader.js";
import { keptTogether } from "../../data/repeated-examples.js";
import { DataError } from "../../errors.js";
import { divide, type ManifestRow, type RunSplit, sharesOf, thinClassNotices } from "./divide-examples.js";
import { datasetPlace } from "./split-of-file.js";

/** What a person gave for an expert. */
export interface GivenExamples {
  readonly name: string;
  /** A directory in any layout that is read, or a file. */
  readonly path: string;
  /** With which it was given: the beginning of errors. */
  readonly flag: "--images" | "--texts" | "--data";
}

/** Examples of one expert as `init` found them. */
export interface ExampleSource {
  readonly name: string;
  readonly kind: KindName;
  /** Directory of the data set, absolute. */
  readonly dataset: string;
  /** The data set's own names of splits; undefined where they are those of runs. */
  readonly splits: ReadonlyMap<RunSplit, string> | undefined;
  /** To be written, and read instead of `dataset`. */
  readonly manifest: readonly ManifestRow[] | undefined;
  /** Undefined: no example has a label. */
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
  /** What the data set passed over or assumed, and repeated examples, in sentences. */
  readonly notices: readonly string[];
  /** Splits without labels: why. */
  readonly unlabelled: readonly string[];
}

/** Own names of splits for each of a run's, best first. */
export const TEST_NAMES = ["test", "testing", "validation", "valid", "val", "dev"];
const ADAPT_NAMES = ["adapt", "train", "training"];
const VAL_NAMES = ["val", "valid", "validation", "dev"];
/** A data set that stays where it is has its columns named in the suite; what is divided is written anew. */
const inSuiteOrTable: ColumnNaming = (option) => `${namedInTable(option)}, or ${namedInSuite(option)}`;
/** Any name does for a folder without splits. */
export const WHOLE = "all";

/**
 * Looks at what was given, as examples of a kind. `needsHead`: there is no classifier, so that labels have to make one. Throws DataError for what
 * cannot be read, and for a head that would need labels where there are none.
 */
export async function lookAtExamples(
  { name, path, flag }: GivenExamples,
  kind: KindName,
  needsHead: boolean,
  signal?: AbortSignal,
): Promise<ExampleSource> {
  const where = `${flag} ${name}`;
  const { place: dataset, own } = await datasetPlace(path, kind, where);
  const place = { name, kind, dataset, where, needsHead, signal };
  const source = own.length > 1 ? await ofOwnSplits(place, own) : await ofCollection(place, own[0]);
  if (needsHead && source.headSplit === undefined)
    throw new DataError(
      `${where}: ${path}: expected labels (a folder per class, or a column label), since the expert ${name} has no head, found none${source.unlabelled.length === 0 ? "" : ` (${source.unlabelled.join("; ")})`}; give --head ${name}=FILE, or labelled ${kindOf(kind).many}`,
    );
  return source;
}

interface Place {
  readonly name: string;
  readonly kind: KindName;
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

async function ofOwnSplits(
  { name, kind, dataset, where, needsHead }: Place,
  own: readonly string[],
): Promise<ExampleSource> {
  const likeOf = ownSplitsLike(own, dataset, where);
  const plain = new Map<string, Dataset>();
  const notices = new Set<string>();
  const notice = (text: string) => notices.add(text);
  for (const split of new Set([likeOf.train ?? likeOf.test, likeOf.val ?? likeOf.test, likeOf.test]))
    plain.set(split, await openDataset({ kind, path: dataset, split, where, notice, naming: inSuiteOrTable }));
  const opened = withCommonClasses(plain, where);
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
    kind,
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

/** A split need not have an example of every class: where all name theirs, the classes are those of all of them. */
function withCommonClasses(splits: ReadonlyMap<string, Dataset>, where: string): ReadonlyMap<string, Dataset> {
  const labelled = [...splits.values()].filter(({ labels }) => labels !== undefined);
  const [first = []] = labelled.map(({ classes }) => classes ?? []);
  if (labelled.some(({ classes }) => classes === undefined)) return splits;
  const all = new Set(labelled.flatMap(({ classes = [] }) => classes));
  const classes = all.size === first.length ? first : [...all].toSorted();
  return new Map(
    [...splits].map(([split, one]) => [split, one.labels === undefined ? one : alignClasses(one, classes, where)]),
  );
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

async function ofCollection(place: Place, split: string | undefined): Promise<ExampleSource> {
  const { name, kind, dataset, where, needsHead, signal } = place;
  const { many, columns } = kindOf(kind);
  const opened = await openDataset({ kind, path: dataset, split: split ?? WHOLE, where, naming: namedInTable });
  const splits = (runs: readonly RunSplit[]) =>
    split === undefined ? undefined : new Map(runs.map((run): [RunSplit, string] => [run, split]));
  const base = { name, kind, dataset, manifest: undefined, notices: opened.notices ?? [], unlabelled: [] };
  if (opened.labels === undefined)
    return {
      ...base,
      splits: splits(["adapt"]),
      ...classesOf(undefined, where),
      isJudged: false,
      counts: new Map([["adapt", opened.size]]),
      headSplit: undefined,
      assumed: `${name}: no labels: all ${many} are learned from, none is judged`,
      unlabelled: opened.unlabelled === undefined ? [] : [opened.unlabelled],
    };
  const classes = classesOf(opened, where);
  if (opened.files === undefined && columns.inManifests === "paths") {
    const counts = new Map(["adapt" as const, "val" as const, "test" as const].map((run) => [run, opened.size]));
    return {
      ...base,
      splits: splits(["adapt", "val", "test"]),
      ...classes,
      isJudged: true,
      counts,
      headSplit: "adapt",
      assumed: `${name}: one split (${split ?? WHOLE}) whose ${many} are not files of their own: learned from and judged on alike`,
    };
  }
  const shares = sharesOf(needsHead);
  const { firsts, notices } = await keptTogether(opened, dataset, signal);
  const manifest = await divide(opened, { name, where, classes: classes.classes ?? [], shares, firsts });
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
    notices: [...base.notices, ...notices, ...thinClassNotices(dataset, manifest, shares)],
  };
}

function classesOf(dataset: Dataset | undefined, where: string): Pick<ExampleSource, "classes" | "areNumbers"> {
  if (dataset?.labels === undefined) return { classes: undefined, areNumbers: false };
  const { classes, labels } = dataset;
  const names = classNames(dataset, where);
  if (names.length >= 2) return { classes: names, areNumbers: classes === undefined };
  throw new DataError(
    `${where}: expected at least 2 classes, found ${names.length} (${names.join(", ")}) for ${labels.length} ${kindOf(dataset.kind).many}; is this the folder above the class folders?`,
  );
}
