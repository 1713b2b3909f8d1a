/**
 * The labelled examples of a fine-tuning: what is trained on, what is held out, and what is judged at the end. Splits
 * that the data has are kept; without a validation split a share of the training split is held out, class by class.
 */
import { type FinetuneConfig, namedColumns } from "../../config/finetune.js";
import { alignClasses, classNames } from "../../data/classes.js";
import { type Dataset, openDataset } from "../../data/dataset.js";
import { dividedExamples } from "../../data/divide.js";
import type { EncodeOptions, Encoder } from "../../data/encoder.js";
import { isLabelled, type LabelledExamples, selectExamples } from "../../data/examples.js";
import { kindOf } from "../../data/kinds.js";
import type { ColumnNaming } from "../../data/readers/columns.js";
import { keptTogether } from "../../data/repeated-examples.js";
import { DataError } from "../../errors.js";
import { classesWithout, notHeldOut } from "../../report/judged-examples.js";
import { nearest } from "../../runtime/nearest.js";
import { WHOLE } from "../init/example-sources.js";
import { datasetPlace } from "../init/split-of-file.js";

export interface TrainingData {
  readonly classes: readonly string[];
  readonly train: LabelledExamples;
  readonly held: LabelledExamples | undefined;
  /** The data's own test split, which nothing was chosen on. */
  readonly test: LabelledExamples | undefined;
  /** Which splits these are, in a sentence. */
  readonly assumed: string;
  /** The same as records have them: a part that was drawn from the training split has no name of its own. */
  readonly splits: { readonly train: string; readonly held: string; readonly test: string };
  /** Where examples of what is judged are found, to be shown. */
  readonly sources: { readonly held: ExampleSource | undefined; readonly test: ExampleSource | undefined };
}

/** Examples of a data set; all of them where `rows` says nothing. */
export interface ExampleSource {
  readonly dataset: Dataset;
  readonly rows?: Uint32Array;
}

/** What records call a share of the training split that is held out. */
const DRAWN = "held-out";

/** Own names of splits, best first. */
const TRAIN_NAMES = ["train", "training", "adapt"];
const HELD_NAMES = ["validation", "valid", "val", "dev"];
const TEST_NAMES = ["test", "testing"];
/** Names of classes that a message lists. */
const SHOWN = 5;

export interface TrainingDataOptions extends Pick<EncodeOptions, "cacheDir" | "signal"> {
  readonly log: (line: string) => void;
}

/**
 * Opens and encodes the data. Throws DataError for data without labels, of one class, with a class that is not among
 * the training examples, and whatever reading it throws.
 */
export async function openTrainingData(
  config: FinetuneConfig,
  encoder: Encoder,
  { cacheDir, signal, log }: TrainingDataOptions,
): Promise<TrainingData> {
  const { kind } = encoder;
  const { data, max_length, seed } = config;
  const { split: wanted, share } = config.eval;
  const parameters = namedColumns(config);
  const { place, own } = await datasetPlace(data, kind, WHERE);
  const splits = chooseSplits(data, own, wanted);
  const notices = new Set<string>();
  const notice = (text: string) => notices.add(text);
  const open = (split: string) => openDataset({ kind, path: place, split, where: WHERE, parameters, naming, notice });
  const train = requireLabelled(await open(splits.train), data);
  const classes = classesOf(train);
  const withClasses = alignClasses(train, classes, WHERE);
  requireEveryClass(withClasses, classes);
  const judged = async (split: string | undefined): Promise<Dataset | undefined> =>
    split === undefined ? undefined : sameClasses(requireLabelled(await open(split), data), classes, splits.train);
  const [ownHeld, test] = [await judged(splits.held), await judged(splits.test)];
  const encode = async (dataset: Dataset): Promise<LabelledExamples> => {
    const store = await encoder.open(dataset, { cacheDir, signal, notice, maxLength: max_length ?? undefined });
    if (!isLabelled(store)) throw unlabelled(dataset, data);
    return store;
  };
  const all = await encode(withClasses);
  const { source, ...divided } =
    ownHeld === undefined && share > 0
      ? await heldOut(withClasses, all, { classes, share, seed, signal, notice, place: data })
      : ownHeld === undefined
        ? { train: all, held: undefined, source: undefined }
        : { train: all, held: await encode(ownHeld), source: { dataset: ownHeld } };
  const tested = test === undefined ? undefined : await encode(test);
  const absent = divided.held === undefined ? [] : classesWithout(divided.held.labels, classes);
  if (absent.length > 0) notice(`${data}: ${notHeldOut(absent, kindOf(kind).many, "held out")}`);
  for (const text of notices) log(`notice: ${text}`);
  return {
    ...{ classes, ...divided, test: tested },
    assumed: assumedText(kindOf(kind).many, splits, divided, tested),
    splits: { train: splits.train, held: splits.held ?? DRAWN, test: splits.test ?? "" },
    sources: { held: source, test: test && { dataset: test } },
  };
}

const WHERE = "data";
const naming: ColumnNaming = (option) => `add ${option}=NAME`;

interface ChosenSplits {
  readonly train: string;
  readonly held: string | undefined;
  readonly test: string | undefined;
}

function chooseSplits(data: string, own: readonly string[], wanted: string | null): ChosenSplits {
  const find = (names: readonly string[]) =>
    names.map((name) => own.find((split) => split.toLowerCase() === name)).find((split) => split !== undefined);
  if (wanted !== null && !own.includes(wanted)) {
    const close = nearest(wanted, own);
    throw new DataError(
      `eval.split: ${data}: expected one of its splits (${own.join(", ") || "it has none"}), found ${wanted}${close === undefined ? "" : `; did you mean ${close}?`}`,
    );
  }
  const train = own.length > 1 ? find(TRAIN_NAMES) : (own[0] ?? WHOLE);
  if (train === undefined)
    throw new DataError(
      `${WHERE}: ${data}: expected a split train, found ${own.join(", ")}; rename one, or give it by its own folder or file`,
    );
  if (wanted === train)
    throw new DataError(
      `eval.split: ${data}: expected another split than ${train}, which is trained on; leave it out to hold a share of that out`,
    );
  const held = wanted ?? find(HELD_NAMES);
  const test = find(TEST_NAMES);
  return { train, held, test: test === held || test === train ? undefined : test };
}

function requireLabelled(dataset: Dataset, path: string): Dataset {
  if (dataset.labels === undefined) throw unlabelled(dataset, path);
  return dataset;
}

function unlabelled({ split, unlabelled: why }: Dataset, path: string): DataError {
  return new DataError(
    `${WHERE}: ${path}: expected labels in ${split === WHOLE ? "it" : `split ${split}`} (a folder per class, or a column label), found none${why === undefined ? "" : ` (${why})`}; ${naming("label_column")} where their column is called otherwise: fine-tuning learns from labels alone`,
  );
}

function classesOf(dataset: Dataset): readonly string[] {
  const { labels, kind, size } = dataset;
  const names = classNames(dataset, WHERE);
  const present = new Set(labels);
  if (names.length >= 2 && present.size >= 2) return names;
  const { many } = kindOf(kind);
  const shown = names.filter((_, label) => present.has(label)).join(", ");
  throw new DataError(
    `${WHERE}: expected ${many} of at least 2 classes, found one class alone (${shown}) in ${size} ${many}; is this the folder above the class folders, and is the column of labels the right one (label_column=NAME names another)?`,
  );
}

/** A head's row without an example would learn nothing. */
function requireEveryClass({ labels, kind, split }: Dataset, classes: readonly string[]): void {
  const empty = classesWithout(labels ?? [], classes);
  if (empty.length === 0) return;
  throw new DataError(
    `${WHERE}: split ${split}: expected ${kindOf(kind).some} of each of its ${classes.length} classes, found none of ${listed(empty)}; add some, or leave these classes out`,
  );
}

/** Throws DataError for classes that are not trained. */
function sameClasses(dataset: Dataset, classes: readonly string[], train: string): Dataset {
  const { labels = new Int32Array(), classes: own, split } = dataset;
  const present = [...new Set(labels)].toSorted((a, b) => a - b);
  const nameOf = (label: number) => (own === undefined ? (classes[label] ?? String(label)) : (own[label] ?? ""));
  const unknown = present.map(nameOf).filter((name) => !classes.includes(name));
  if (unknown.length > 0)
    throw new DataError(
      `${WHERE}: split ${split}: expected the ${classes.length} classes of split ${train}, found others (${listed(unknown)}); name them alike, add ${kindOf(dataset.kind).many} of them to ${train}, or leave them out`,
    );
  if (own === undefined) return alignClasses(dataset, classes, WHERE);
  // Names of classes without an example here are nobody's concern.
  const places = own.map((name) => classes.indexOf(name));
  return { ...dataset, classes, labels: labels.map((label) => places[label] ?? -1) };
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, SHOWN).join(", ")}${names.length > SHOWN ? ` and ${names.length - SHOWN} more` : ""}`;
}

interface HoldOut {
  readonly classes: readonly string[];
  readonly share: number;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  readonly notice: (text: string) => void;
  readonly place: string;
}

/** Both parts in the order of the data set; nothing is held out where that leaves none of any class. */
async function heldOut(dataset: Dataset, store: LabelledExamples, options: HoldOut) {
  const { classes, share, seed, signal, notice, place } = options;
  const { firsts, notices } = await keptTogether(dataset, place, signal);
  for (const text of notices) notice(text);
  const parts = dividedExamples({
    ...{ labels: store.labels, classes, firsts, draw: ["finetune", seed] },
    shares: [
      ["train", 1 - share],
      ["held", share],
    ],
  });
  const indices = (part: "train" | "held") =>
    Uint32Array.from(parts.filter((one) => one.part === part).map(({ index }) => index)).sort();
  const [train, held] = [indices("train"), indices("held")];
  if (held.length === 0) {
    notice(`${place}: too few ${kindOf(dataset.kind).many} of each class to hold ${100 * share} % out`);
    return { train: store, held: undefined, source: undefined };
  }
  return { train: selected(store, train), held: selected(store, held), source: { dataset, rows: held } };
}

/** With a fingerprint of its own: the labels that go with it say which examples they are. */
function selected(store: LabelledExamples, indices: Uint32Array): LabelledExamples {
  const chosen = selectExamples(store, indices);
  const { fingerprint } = store;
  return fingerprint === undefined ? chosen : { ...chosen, fingerprint: `${fingerprint} ${[...indices].join()}` };
}

function assumedText(
  many: string,
  splits: ChosenSplits,
  { train, held }: Pick<TrainingData, "train" | "held">,
  test: LabelledExamples | undefined,
): string {
  const from = splits.train === WHOLE ? "" : ` of its ${splits.train}`;
  const drawn = splits.held === undefined ? "drawn from the same" : `its ${splits.held}`;
  return [
    `${train.size} ${many}${from} are trained on`,
    held === undefined ? "none are held out" : `${held.size} are held out (${drawn})`,
    ...(test === undefined ? [] : [`${test.size} of its ${splits.test} are judged at the end`]),
  ].join(", ");
}
