/** Accuracy of a saved model's heads on labelled examples: a person's own by task, or the data sets of a suite. */
import type { Hub } from "../../checkpoint/hub/request.js";
import { type Dataset, openDataset } from "../../data/dataset.js";
import { isLabelled, type LabelledExamples } from "../../data/examples.js";
import { kindOf } from "../../data/kinds.js";
import { type ColumnNaming, namedInSuite } from "../../data/readers/columns.js";
import { openSuite } from "../../data/suite.js";
import { createEngine, type DeviceName, type EngineName } from "../../engine/create-engine.js";
import { ConfigError, DataError } from "../../errors.js";
import { createClassifier, type Evaluation } from "../../optimize/evaluate.js";
import type { ResultRow } from "../../report/summary.js";
import { nearest } from "../../runtime/nearest.js";
import { inParts, type OnProgress } from "../../runtime/progress.js";
import type { PredictionsRecord } from "../../track/run-folder.js";
import { TEST_NAMES, WHOLE } from "../init/example-sources.js";
import { datasetPlace } from "../init/split-of-file.js";
import { rowOf } from "../judge/judge-models.js";
import { predictionsRecord } from "../judge/predictions-record.js";
import { openTaskDataset } from "../suite/open-examples.js";
import { openSavedClassifier, type SavedClassifier } from "./saved-classifier.js";

/** As runs have it if nothing else is said. */
const BATCH = 128;
const FLAGS = {
  text_column: "column",
  image_column: "column",
  pair_column: "pair-column",
  label_column: "label-column",
};
const naming: ColumnNaming = (option) => `give --${FLAGS[option]} NAME`;
/** What the row of the table is called. */
const ROW = "model";

/** Where labelled examples are. */
export interface LabelledInputs {
  /** Absolute paths of folders or tables by task. */
  readonly data?: ReadonlyMap<string, string> | undefined;
  /** Absolute path of a suite, whose tasks have data sets. */
  readonly suite?: string | undefined;
  /** Columns of these tables: of the examples (or their paths), the other texts of pairs, the labels. By their names if absent. */
  readonly column?: string | undefined;
  readonly pairColumn?: string | undefined;
  readonly labelColumn?: string | undefined;
  /** Which split is judged; test, or what is like it, if absent. */
  readonly split?: string | undefined;
}

export interface EvaluateModelOptions {
  readonly cacheDir: string;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  /** Is told what goes on behind that; default: nobody. */
  readonly detail?: (line: string) => void;
  readonly onProgress?: OnProgress;
  /** For suites that name repositories on the hub. */
  readonly hub?: Hub | undefined;
  readonly engine?: EngineName | undefined;
  readonly device?: DeviceName | undefined;
  readonly threads?: number | undefined;
}

/**
 * The heads that there are examples for. Throws CheckpointError as `openSavedClassifier`, ConfigError for tasks without
 * a head, and DataError for examples that do not fit.
 */
export async function evaluateModel(
  folder: string,
  given: LabelledInputs,
  options: EvaluateModelOptions,
): Promise<{ readonly row: ResultRow; readonly predictions: PredictionsRecord }> {
  const { cacheDir, signal, log, engine: name = "onnx", device = "auto", threads = 0 } = options;
  const notice = (text: string) => log(`notice: ${text}`);
  const saved = await openSavedClassifier(folder, { tasks: given.data && [...given.data.keys()], notice });
  const datasets = await openLabelled(saved, given, { ...options, notice });
  const { model, encoder, maxLength } = saved;
  const stores = new Map<string, LabelledExamples>();
  for (const [task, dataset] of datasets) {
    const store = await encoder.open(dataset, { cacheDir, maxLength, signal, notice });
    stores.set(task, requireLabelled(store, task, given.data?.has(task) ? naming : namedInSuite));
  }
  const { engine, reason } = await createEngine({ engine: name, device, threads });
  options.detail?.(`engine: ${reason}`);
  try {
    const heads = saved.heads.filter(({ task }) => stores.has(task));
    const largest = Math.max(...[...stores.values()].map(({ size }) => size));
    const classifier = await createClassifier(engine, { model, heads, batchSize: Math.min(BATCH, largest) });
    await classifier.setWeights(await saved.weights());
    const evaluations = new Map<string, Evaluation>();
    const total = [...stores.values()].reduce((sum, { size }) => sum + size, 0);
    const piece = { what: "judging", total, unit: kindOf(encoder.kind).many };
    await inParts(options.onProgress, piece, async (onExamples) => {
      for (const [task, store] of stores)
        evaluations.set(task, await classifier.evaluate(task, store, { signal, onExamples }));
    });
    await classifier.close();
    const row = rowOf(ROW, [...stores.keys()], evaluations);
    const splits = new Set([...datasets.values()].map(({ split }) => split));
    return { row, predictions: predictionsRecord([...splits].join(", "), [{ row, evaluations }]) };
  } finally {
    await engine.close();
  }
}

function requireLabelled(store: Parameters<typeof isLabelled>[0], task: string, named: ColumnNaming): LabelledExamples {
  if (isLabelled(store)) return store;
  const why = store.unlabelled === undefined ? "" : ` (${store.unlabelled})`;
  throw new DataError(
    `task ${task}: ${store.name}: expected labels (a folder for each class, or a column label), found none${why}; ${named("label_column")} where their column is called otherwise; \`adamerge predict\` needs none`,
  );
}

type OpenOptions = Pick<EvaluateModelOptions, "hub"> & { readonly notice: (text: string) => void };

async function openLabelled(
  saved: SavedClassifier,
  given: LabelledInputs,
  options: OpenOptions,
): Promise<ReadonlyMap<string, Dataset>> {
  const { data, suite, split } = given;
  const datasets = new Map<string, Dataset>();
  for (const [task, path] of data ?? []) datasets.set(task, await openOwn(saved, task, path, given, options));
  if (suite !== undefined)
    for (const [task, dataset] of await openOfSuite(saved, suite, split, options)) datasets.set(task, dataset);
  if (datasets.size > 0) return datasets;
  throw new ConfigError(
    `${saved.folder}: expected labelled examples (--data TASK=FOLDER for ${[...saved.classes.keys()].join(", ")}, or --suite SUITE), found none`,
  );
}

/** A person's own: a table, a folder with splits, or one collection. */
async function openOwn(
  { encoder, classes }: SavedClassifier,
  task: string,
  path: string,
  { split: wanted, column, pairColumn, labelColumn }: LabelledInputs,
  { notice }: OpenOptions,
): Promise<Dataset> {
  const { kind } = encoder;
  const where = `--data ${task}`;
  const { place, own } = await datasetPlace(path, kind, where);
  const like = TEST_NAMES.flatMap((name) => own.find((split) => split.toLowerCase() === name) ?? []);
  const split = wanted ?? (own.length > 1 ? like[0] : (own[0] ?? WHOLE));
  if (split === undefined)
    throw new DataError(`${where}: ${path}: expected a split test, found ${own.join(", ")}; say which with --split`);
  const asked = { [kindOf(kind).columns.option]: column, pair_column: pairColumn, label_column: labelColumn };
  const parameters = Object.fromEntries(Object.entries(asked).filter(([, name]) => name !== undefined));
  return openDataset({ kind, path: place, split, where, parameters, naming, classes: classes.get(task), notice });
}

async function openOfSuite(
  { encoder, classes, folder }: SavedClassifier,
  path: string,
  split: string | undefined,
  { hub, notice }: OpenOptions,
): Promise<ReadonlyMap<string, Dataset>> {
  const suite = await openSuite(path);
  const datasets = new Map<string, Dataset>();
  for (const task of suite.tasks) {
    const names = classes.get(task.name);
    if (names === undefined) continue;
    // Labels that are meant by number are numbers of the suite's classes. A head that names none has them in the
    // suite's order.
    const isUnnamed = names.every((name, row) => name === String(row));
    const isSame = names.every((name, row) => isUnnamed || name === task.classes[row]);
    if (names.length !== task.classes.length || !isSame)
      throw new ConfigError(
        `${suite.path}: tasks.${task.name}: expected the classes of the head in ${folder}, in their order, found others; is it the suite that the model was merged from?`,
      );
    datasets.set(
      task.name,
      await openTaskDataset({ encoder, hub, notice }, task, split ?? suite.splits.test, task.classes),
    );
  }
  const absent = [...classes.keys()].filter((task) => !datasets.has(task));
  if (absent.length > 0 && datasets.size > 0)
    notice(`${suite.name} has no tasks for the heads ${absent.join(", ")}: they are not judged`);
  if (datasets.size > 0) return datasets;
  const [first = ""] = absent;
  const close = nearest(
    first,
    suite.tasks.map(({ name }) => name),
  );
  throw new ConfigError(
    `${suite.path}: expected tasks called as the model's heads (${absent.join(", ")}), found ${suite.tasks.map(({ name }) => name).join(", ")}${close === undefined ? "" : `; is ${close} ${first}?`}`,
  );
}
