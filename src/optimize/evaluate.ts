/**
 * Accuracy of a model on labelled examples, and how sure it is of unlabelled ones. One compiled forward serves every task: all heads are applied to
 * the same features, and each task reads its own columns. B examples, C classes of one task, A classes of all tasks together.
 */

import { exampleBatches } from "../data/batches.js";
import { type ExampleStore, type ExampleValues, isLabelled, type LabelledExamples } from "../data/examples.js";
import { kindOf } from "../data/kinds.js";
import { lookup } from "../engine/lookup.js";
import type { Engine, Executable, Program } from "../engine/program.js";
import { tf } from "../engine/tf.js";
import { assert, NumericError } from "../errors.js";
import type { Model } from "../model/family.js";
import { applyHead, headSources, headSpecs } from "../model/head-program.js";
import type { Head } from "../model/heads.js";
import { compileByLength } from "./by-length.js";
import { softmax } from "./softmax.js";
import { givenWeights, weightSources, weightSpecs } from "./step-program.js";

/** What predictions say by themselves, without the true classes. */
export interface UnlabelledEvaluation {
  readonly images: number;
  /** Mean entropy of the predictions, in nats. */
  readonly entropyNats: number;
  /** Predicted class per example, so that later comparisons can be paired. */
  readonly predictions: Int32Array;
}

export interface Evaluation extends UnlabelledEvaluation {
  readonly correct: number;
  readonly accuracyPercent: number;
  /** Mean cross-entropy of the true classes, in nats. */
  readonly lossNats: number;
  /** Expected calibration error in percent: how far confidence lies from accuracy, over 15 bins of confidence (Guo et al. 2017, equation 3). */
  readonly calibrationPercent: number;
  /** 1 per example that was right, else 0. */
  readonly hits: Uint8Array;
}

export interface EvaluateOptions {
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Is told after every batch of how many examples it was. */
  readonly onExamples?: ((examples: number) => void) | undefined;
}

/** A compiled forward with replaceable weights. */
export interface Classifier {
  /** Sets every tensor of the model. */
  setWeights(weights: ReadonlyMap<string, Float32Array>): Promise<void>;
  /** Sets the numbers of the heads that it was made with. */
  setHeads(heads: readonly Head[]): Promise<void>;
  /** Evaluates `task` on the first `limit` examples, or on all of them; against their labels where they have some. */
  evaluate(task: string, store: LabelledExamples, options?: EvaluateOptions): Promise<Evaluation>;
  evaluate(task: string, store: ExampleStore, options?: EvaluateOptions): Promise<Evaluation | UnlabelledEvaluation>;
  /** Logits [N, C] of the task's head for the first `limit` examples, or for all. */
  taskLogits(task: string, store: ExampleStore, options?: EvaluateOptions): Promise<Float32Array>;
  /** Softmax [N, C] of the task's logits over `temperature` (default: 1) for every example, float32. */
  probabilities(task: string, store: ExampleStore, temperature?: number): Promise<Float32Array>;
  /** Logits [B, A] of one batch of examples: the model's inputs by name. */
  logits(inputs: ReadonlyMap<string, ExampleValues>): Promise<Float32Array>;
  close(): Promise<void>;
}

/** As Guo et al. 2017 (arXiv:1706.04599). */
const CALIBRATION_BINS = 15;
const OUTPUT_LOGITS = "logits";

export interface ClassifierOptions {
  readonly model: Model;
  readonly heads: readonly Head[];
  readonly batchSize: number;
}

/** Compiles the forward of the model with all heads; for a model with lengths, each when its first examples come. */
export async function createClassifier(engine: Engine, options: ClassifierOptions): Promise<Classifier> {
  const { model, batchSize } = options;
  const executable = await compileByLength(engine, model, batchSize, (length) => classifyProgram(options, length));
  await executable.bind(new Map(headSources(options.heads)));
  const taskLogits: Classifier["taskLogits"] = (task, store, how = {}) =>
    logitsOf(executable, options, task, store, how);
  async function evaluate(task: string, store: LabelledExamples, how?: EvaluateOptions): Promise<Evaluation>;
  async function evaluate(
    task: string,
    store: ExampleStore,
    how?: EvaluateOptions,
  ): Promise<Evaluation | UnlabelledEvaluation>;
  async function evaluate(task: string, store: ExampleStore, how: EvaluateOptions = {}) {
    const logitsNC = await taskLogits(task, store, how);
    return judgeExamples(task, logitsNC, columnsOf(options.heads, task).classes, store);
  }
  return {
    setWeights: (weights) => executable.bind(new Map(weightSources(options.model, weights))),
    setHeads: (heads) => executable.bind(new Map(headSources(heads))),
    evaluate,
    taskLogits,
    probabilities: async (task, store, temperature = 1) =>
      softmaxRows(await taskLogits(task, store), columnsOf(options.heads, task).classes, temperature),
    logits: (inputs) => batchLogits(executable, inputs),
    close: () => executable.close(),
  };
}

async function batchLogits(executable: Executable, inputs: ReadonlyMap<string, ExampleValues>): Promise<Float32Array> {
  const logits = (await executable.run(inputs)).get(OUTPUT_LOGITS);
  assert(logits !== undefined, "the classifier has no logits");
  return logits;
}

/** Frozen: `weights/<name>` and the heads. Inputs: those of the model for B examples of this length. Output: `logits` [B, A]. */
export function classifyProgram({ model, heads, batchSize }: ClassifierOptions, length?: number): Program {
  return {
    name: "classify",
    frozen: new Map([...weightSpecs(model), ...headSpecs(heads)]),
    inputs: model.inputs(batchSize, length),
    build: (tensors) => {
      const get = lookup(tensors);
      const featuresBE = model.features(givenWeights(get), get);
      const logits = heads.map((head) => applyHead(head, featuresBE, get));
      return new Map([[OUTPUT_LOGITS, tf.concat(logits, 1)]]);
    },
  };
}

/** Logits [N, C] of the task's own head for the first `limit` examples. */
async function logitsOf(
  executable: Executable,
  { model, heads, batchSize }: ClassifierOptions,
  task: string,
  store: ExampleStore,
  { limit, signal, onExamples }: EvaluateOptions,
): Promise<Float32Array> {
  const { firstColumn, columns, classes } = columnsOf(heads, task);
  const examples = Math.min(limit ?? store.size, store.size);
  const logitsNC = new Float32Array(examples * classes);
  for (const { inputs, indices } of exampleBatches(store, batchSize, { lengths: model.lengths, limit })) {
    signal?.throwIfAborted();
    const logits = await batchLogits(executable, inputs);
    for (const [row, index] of indices.entries()) {
      const begin = row * columns + firstColumn;
      logitsNC.set(logits.subarray(begin, begin + classes), index * classes);
    }
    onExamples?.(indices.length);
  }
  return logitsNC;
}

/** What logits [N, C] of the first N examples are worth: against their labels where they have some. Throws NumericError as `judgeLogits`. */
export function judgeExamples(
  task: string,
  logitsNC: Float32Array,
  classes: number,
  store: ExampleStore,
): Evaluation | UnlabelledEvaluation {
  if (isLabelled(store)) return judgeLogits(task, logitsNC, classes, store);
  const images = logitsNC.length / classes;
  const predictions = new Int32Array(images);
  let entropy = 0;
  for (let image = 0; image < images; image++) {
    const own = logitsNC.subarray(image * classes, (image + 1) * classes);
    predictions[image] = predictedClass(task, own, store, image);
    entropy += entropyOf(own).entropyNats;
  }
  return { images, entropyNats: entropy / images, predictions };
}

/**
 * What logits [N, C] are worth for the first N labelled examples: of one model, or a mean over several. Throws NumericError for a logit that is
 * not a number.
 */
export function judgeLogits(
  task: string,
  logitsNC: Float32Array,
  classes: number,
  store: LabelledExamples,
): Evaluation {
  const { labels } = store;
  const images = logitsNC.length / classes;
  const predictions = new Int32Array(images);
  const hits = new Uint8Array(images);
  const bins = Array.from({ length: CALIBRATION_BINS }, () => ({ confidence: 0, hits: 0 }));
  let [correct, entropy, loss] = [0, 0, 0];
  for (let image = 0; image < images; image++) {
    const own = logitsNC.subarray(image * classes, (image + 1) * classes);
    const label = labels[image] ?? -1;
    const predicted = predictedClass(task, own, store, image);
    predictions[image] = predicted;
    if (predicted === label) {
      hits[image] = 1;
      correct += 1;
    }
    const { entropyNats, logZ } = entropyOf(own);
    const confidence = Math.exp((own[predicted] ?? 0) - logZ);
    const bin = bins[Math.min(CALIBRATION_BINS - 1, Math.floor(confidence * CALIBRATION_BINS))];
    assert(bin !== undefined, "a confidence outside 0..1");
    bin.confidence += confidence;
    bin.hits += hits[image] ?? 0;
    entropy += entropyNats;
    loss += logZ - (own[label] ?? Number.NaN);
  }
  return {
    images,
    correct,
    accuracyPercent: (100 * correct) / images,
    entropyNats: entropy / images,
    lossNats: loss / images,
    calibrationPercent: bins.reduce((sum, bin) => sum + (100 * Math.abs(bin.confidence - bin.hits)) / images, 0),
    predictions,
    hits,
  };
}

function softmaxRows(logitsNC: Float32Array, classes: number, temperature: number): Float32Array {
  const valuesNC = new Float32Array(logitsNC.length);
  for (let begin = 0; begin < logitsNC.length; begin += classes)
    valuesNC.set(softmax(logitsNC.subarray(begin, begin + classes), temperature), begin);
  return valuesNC;
}

/** Where a task's logits stand among those of all heads. */
function columnsOf(heads: readonly Head[], task: string) {
  const index = heads.findIndex((head) => head.task === task);
  const head = heads[index];
  assert(head !== undefined, `no head for task ${task}`);
  return {
    firstColumn: heads.slice(0, index).reduce((sum, { classes }) => sum + classes, 0),
    columns: heads.reduce((sum, { classes }) => sum + classes, 0),
    classes: head.classes,
  };
}

function predictedClass(task: string, logitsC: Float32Array, { kind }: ExampleStore, index: number): number {
  const predicted = argmax(logitsC);
  if (predicted >= 0) return predicted;
  throw new NumericError(
    `task ${task}: the logits of ${kindOf(kind).one} ${index} are not numbers; a weight or coefficient is NaN or infinite`,
  );
}

/** Index of the largest value, -1 when there is a NaN. */
function argmax(values: Float32Array): number {
  let best = 0;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? Number.NaN;
    if (Number.isNaN(value)) return -1;
    if (value > (values[best] ?? 0)) best = index;
  }
  return best;
}

/** Entropy of softmax(logits) in float64, log Z - sum p z, and log Z itself. */
function entropyOf(logits: Float32Array): { readonly entropyNats: number; readonly logZ: number } {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let total = 0;
  let weighted = 0;
  for (const logit of logits) {
    const weight = Math.exp(logit - largest);
    total += weight;
    weighted += weight * (logit - largest);
  }
  return { entropyNats: Math.log(total) - weighted / total, logZ: largest + Math.log(total) };
}
