/**
 * Labels and probabilities for examples that have none, by a saved model with its heads: the compiled forward of an
 * evaluation, on chunks of what is given. A generator of rows, one for each example and in the order of the examples:
 * whoever consumes it prints, counts or stores them. B examples of a batch, A classes of all heads together.
 */
import { resolve } from "node:path";
import { exampleBatches } from "../../data/batches.js";
import type { ExampleStore } from "../../data/examples.js";
import type { KindName } from "../../data/kind.js";
import { kindOf } from "../../data/kinds.js";
import { type GivenExample, givenExamples } from "../../data/readers/given-examples.js";
import { createEngine, type DeviceName, type EngineName } from "../../engine/create-engine.js";
import type { Engine } from "../../engine/program.js";
import { ConfigError, NumericError } from "../../errors.js";
import { type Classifier, createClassifier } from "../../optimize/evaluate.js";
import { softmax } from "../../optimize/softmax.js";
import { exampleChunks } from "./example-chunks.js";
import { openSavedClassifier, type SavedClassifier } from "./saved-classifier.js";

/** Examples per forward: enough for the cores, little memory for the largest model, and the first results soon. */
const BATCH = 32;
/**
 * Texts are sorted by their lengths within a chunk; in small chunks most batches would be filled up with repetitions.
 */
const MOST_TEXTS = 512;

/** A class with its probability. */
export interface LabelProbability {
  readonly label: string;
  /** 0 to 1, of all classes of the head. */
  readonly probability: number;
}

/** What one head says of an example. */
export interface TaskPrediction {
  readonly task: string;
  /** The likeliest first. */
  readonly labels: readonly LabelProbability[];
}

/** What is said of one example: predictions of each head, or why it could not be read. */
export type PredictionRow =
  | { readonly source: string; readonly predictions: readonly TaskPrediction[] }
  | { readonly source: string; readonly error: string };

/** What is predicted for. */
export interface GivenInputs {
  /** Files, folders and tables. */
  readonly files?: readonly string[];
  /** Texts themselves. */
  readonly texts?: readonly string[];
}

/** How examples are read, and how many labels are given of each. */
export interface PredictOptions {
  /** Labels of each head, the likeliest; 1 if absent. */
  readonly top?: number | undefined;
  /** Where relative paths begin; the process's working folder if absent. */
  readonly cwd?: string | undefined;
  /** Column of the examples in tables. */
  readonly column?: string | undefined;
  /** Column of the other texts of pairs. */
  readonly pairColumn?: string | undefined;
  /** Each line of a text file is an example of its own. */
  readonly byLines?: boolean | undefined;
}

/** Which heads are asked, and where the model runs. */
export interface OpenPredictorOptions {
  /** The heads that are asked; all if absent. */
  readonly tasks?: readonly string[] | undefined;
  readonly engine?: EngineName | undefined;
  readonly device?: DeviceName | undefined;
  /** Of the processor; all cores if absent. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Is told what was assumed, passed over or cut. */
  readonly notice?: ((text: string) => void) | undefined;
}

/** A model that is open; for programs that predict more than once. */
export interface Predictor {
  /** What it takes. */
  readonly kind: KindName;
  /** Class names of each head, by task. */
  readonly classes: ReadonlyMap<string, readonly string[]>;
  /**
   * Throws NumericError for logits that are no numbers, and the signal's reason when that is aborted. Not two at a
   * time.
   */
  predict(given: GivenInputs, options?: PredictOptions): AsyncGenerator<PredictionRow>;
  close(): Promise<void>;
}

/**
 * Opens the model in `folder`. Throws CheckpointError and ConfigError as `openSavedClassifier`, and ConfigError for a
 * device that is not there.
 */
export async function openPredictor(folder: string, options: OpenPredictorOptions = {}): Promise<Predictor> {
  const { tasks, engine: name = "onnx", device = "auto", threads = 0, signal, notice = () => {} } = options;
  const saved = await openSavedClassifier(folder, { tasks, notice });
  signal?.throwIfAborted();
  const { engine } = await createEngine({ engine: name, device, threads });
  const classifiers = growingClassifier(engine, saved);
  const { encoder, model, maxLength } = saved;
  let isCutSaid = false;
  const onCut = () => {
    if (!isCutSaid)
      notice(`texts are cut after ${Math.min(maxLength ?? Infinity, model.lengths?.at(-1) ?? Infinity)} tokens`);
    isCutSaid = true;
  };
  return {
    kind: encoder.kind,
    classes: saved.classes,
    predict: async function* (given, how = {}) {
      const most = model.lengths === undefined ? BATCH : MOST_TEXTS;
      const examples = inputsOf(given, how, saved, notice);
      for await (const chunk of exampleChunks(examples, encoder, { first: BATCH, most, maxLength, onCut, signal })) {
        const { store, places, failures, sources } = chunk;
        const rows = new Map<number, readonly TaskPrediction[]>();
        if (store !== undefined) {
          const { classifier, batchSize } = await classifiers.of(store.size);
          for await (const [index, logitsA] of logitsOf(classifier, batchSize, saved, store, signal)) {
            const place = places[index] ?? 0;
            rows.set(place, predictionsOf(logitsA, saved, how.top ?? 1, sources[place] ?? ""));
          }
        }
        for (const [place, source] of sources.entries()) {
          const error = failures.get(place)?.message ?? "";
          const said = error.startsWith(`${source}: `) ? error.slice(source.length + 2) : error;
          const predictions = rows.get(place);
          yield predictions === undefined ? { source, error: said } : { source, predictions };
        }
      }
    },
    close: async () => {
      await classifiers.close();
      await engine.close();
    },
  };
}

/**
 * Opens the model, predicts for all that is given, and closes it, also when the consumer wants no more. Throws as
 * `openPredictor` and its `predict`.
 */
export async function* predict(
  folder: string,
  given: GivenInputs,
  options: OpenPredictorOptions & PredictOptions = {},
): AsyncGenerator<PredictionRow> {
  const predictor = await openPredictor(folder, options);
  try {
    yield* predictor.predict(given, options);
  } finally {
    await predictor.close();
  }
}

async function* inputsOf(
  { files = [], texts = [] }: GivenInputs,
  { cwd = ".", column, pairColumn, byLines }: PredictOptions,
  { encoder, folder }: SavedClassifier,
  notice: (text: string) => void,
): AsyncGenerator<GivenExample> {
  const kind = kindOf(encoder.kind);
  const areTexts = kind.columns.inManifests === "texts";
  if (!areTexts && (texts.length > 0 || byLines === true))
    throw new ConfigError(
      `${folder}: expected ${kind.many}, which this model takes, found texts; name files or folders of ${kind.many}`,
    );
  for (const [index, text] of texts.entries()) {
    const source = texts.length === 1 ? "text" : `text ${index + 1}`;
    yield { source, encoded: async () => kind.files.fromBytes(Buffer.from(text, "utf8"), source) };
  }
  const paths = files.map((shown) => ({ shown, path: resolve(cwd, shown) }));
  yield* givenExamples(paths, kind, { column, pairColumn, byLines, notice });
}

/** Graphs are static: one for the few examples of a first chunk, and another only when more of them come together. */
function growingClassifier(engine: Engine, saved: SavedClassifier) {
  let open: { readonly classifier: Classifier; readonly batchSize: number } | undefined;
  return {
    of: async (examples: number) => {
      const batchSize = Math.min(BATCH, examples);
      if (open !== undefined && open.batchSize >= batchSize) return open;
      await open?.classifier.close();
      const { model, heads } = saved;
      const classifier = await createClassifier(engine, { model, heads, batchSize });
      open = { classifier, batchSize };
      await classifier.setWeights(await saved.weights());
      return open;
    },
    close: async () => open?.classifier.close(),
  };
}

/** Logits [A] of each example with its index, as batches end. */
async function* logitsOf(
  classifier: Classifier,
  batchSize: number,
  { model, heads }: SavedClassifier,
  store: ExampleStore,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly [index: number, logitsA: Float32Array]> {
  const columns = heads.reduce((sum, { classes }) => sum + classes, 0);
  for (const { inputs, indices } of exampleBatches(store, batchSize, { lengths: model.lengths })) {
    signal?.throwIfAborted();
    const logitsBA = await classifier.logits(inputs);
    for (const [row, index] of indices.entries()) yield [index, logitsBA.subarray(row * columns, (row + 1) * columns)];
  }
}

function predictionsOf(
  logitsA: Float32Array,
  { heads, classes, folder }: SavedClassifier,
  top: number,
  source: string,
): readonly TaskPrediction[] {
  let begin = 0;
  return heads.map(({ task, classes: count }) => {
    const logits = logitsA.subarray(begin, begin + count);
    begin += count;
    const strange = logits.find((logit) => !Number.isFinite(logit));
    if (strange !== undefined)
      throw new NumericError(
        `${folder}: expected numbers as the logits of ${source} (head ${task}), found ${strange}; a weight of the model is NaN or infinite`,
      );
    const probabilities = softmax(logits);
    const names = classes.get(task) ?? [];
    // Of equal ones the first, as an evaluation takes it; by logits, which differ where probabilities are rounded to 1.
    const order = Array.from(logits.keys()).toSorted((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0));
    const labels = order
      .slice(0, top)
      .map((row) => ({ label: names[row] ?? String(row), probability: probabilities[row] ?? 0 }));
    return { task, labels };
  });
}
