/**
 * The models that a table compares, as coefficients of one bundle: the base, single experts, averages, sums, and what was
 * learned. All are merged and evaluated by the same code. N tensors, K tasks.
 */

import type { RunConfig } from "../../config/schema.js";
import { multitaskOf } from "../../data/suite.js";
import { assert } from "../../errors.js";
import { toTensorCoefficients, uniformCoefficients } from "../../merge/coefficients.js";
import { mergeBundle } from "../../merge/merge-bundle.js";
import { mergedTensors } from "../../merge/merged-weights.js";
import { processingOf } from "../../merge/task-vector-processings.js";
import { openExpert } from "../../model/open-models.js";
import { fitName } from "../../objective/catalog.js";
import { type Evaluation, judgeExamples, type UnlabelledEvaluation } from "../../optimize/evaluate.js";
import type { TaskScore } from "../../optimize/events.js";
import { type ResultRow, resultRow } from "../../report/summary.js";
import type { EvaluateOptions } from "../session/evaluate-options.js";
import type { Inputs } from "../session/inputs.js";
import { modelWeights } from "../suite/stored-weights.js";
import { type ChosenMethod, chooseMethod, type Reference } from "./choose-method.js";

/** The same coefficient per task for every tensor: [N, K]. */
export function perTensor(inputs: Inputs, coefficientOf: (task: number) => number): Float32Array {
  const { grouping, tasks } = inputs;
  const perTask = tasks.map((_, task) => coefficientOf(task));
  return toTensorCoefficients(uniformCoefficients(perTask, grouping.groups.length), grouping, perTask.length);
}

/** Evaluations by task, in the order of the suite. */
export type Evaluations = ReadonlyMap<string, Evaluation | UnlabelledEvaluation>;

/** A row of the table with the evaluations it comes from. */
export interface Judged {
  readonly row: ResultRow;
  readonly evaluations: Evaluations;
}

/** Evaluates the model merged with `coefficientsNK` on the given tasks, in their order. */
export async function evaluateMerged(
  inputs: Inputs,
  coefficientsNK: Float32Array,
  options: EvaluateOptions,
  tasks: readonly string[] = inputs.judged.map((task) => task.name),
): Promise<Evaluations> {
  return evaluateWeights(await collect(mergedTensors(inputs.bundle, coefficientsNK)), options, tasks);
}

async function evaluateWeights(
  weights: ReadonlyMap<string, Float32Array>,
  { classifier, examples, limit, signal }: EvaluateOptions,
  tasks: readonly string[],
): Promise<Evaluations> {
  await classifier.setWeights(weights);
  const results = new Map<string, Evaluation | UnlabelledEvaluation>();
  for (const task of tasks) {
    const store = examples.get(task);
    if (store !== undefined) results.set(task, await classifier.evaluate(task, store, { limit, signal }));
  }
  return results;
}

/** The row of a training-free method. `individual` judges every expert on its own task only. */
export async function judgeMethod(
  config: RunConfig,
  inputs: Inputs,
  chosen: ChosenMethod,
  options: EvaluateOptions,
): Promise<Judged> {
  const judge = await prepareMethod(config, inputs, chosen, options);
  return judge(options);
}

/** Merges once, for as many judgements (on other examples) as one likes. */
export async function prepareMethod(
  { seed }: RunConfig,
  inputs: Inputs,
  chosen: ChosenMethod,
  { probe, findings, changes }: Pick<EvaluateOptions, "probe" | "findings" | "changes">,
): Promise<(options: EvaluateOptions) => Promise<Judged>> {
  const names = inputs.judged.map((task) => task.name);
  const judged = (evaluations: Evaluations): Judged => ({
    row: rowOf(chosen.name, names, evaluations),
    evaluations,
  });
  if (chosen.kind === "reference")
    return async (options) => judged(await evaluateReference(inputs, chosen.name, options, names));
  const { method, parameters } = chosen;
  const merged = await mergeBundle(inputs.bundle, { method, parameters, seed, probe, findings, changes });
  if (method.perTask === true)
    return async (options) =>
      judged(await evaluateEach(mergedAmong(inputs, names), async (task) => collect(merged(task)), options));
  const weights = await collect(merged(0));
  return async (options) => judged(await evaluateWeights(weights, options, names));
}

async function evaluateReference(
  inputs: Inputs,
  reference: Reference,
  options: EvaluateOptions,
  names: readonly string[],
): Promise<Evaluations> {
  const alone = (task: number | undefined) =>
    collect(
      mergedTensors(
        inputs.bundle,
        perTensor(inputs, (other) => (other === task ? 1 : 0)),
      ),
    );
  switch (reference) {
    case "pretrained":
      return evaluateWeights(await alone(undefined), options, names);
    case "individual":
      return evaluateEach(mergedAmong(inputs, names), alone, options);
    case "multi_task":
      return evaluateWeights(await multitaskWeights(inputs), options, names);
    case "logit_ensemble":
      return evaluateEnsemble(
        inputs.tasks.map((_, task) => () => alone(task)),
        options,
        names,
      );
    default:
      return reference satisfies never;
  }
}

/** Those of the judged tasks that have an expert among the merged ones, with its place. */
function mergedAmong({ tasks }: Inputs, names: readonly string[]): [string, number][] {
  return names.flatMap((name): [string, number][] => {
    const task = tasks.findIndex((merged) => merged.name === name);
    return task < 0 ? [] : [[name, task]];
  });
}

/** Each task judged on a model of its own. */
async function evaluateEach(
  tasks: readonly (readonly [string, number])[],
  weightsOf: (task: number) => Promise<ReadonlyMap<string, Float32Array>>,
  options: EvaluateOptions,
): Promise<Evaluations> {
  const results = new Map<string, Evaluation | UnlabelledEvaluation>();
  for (const [name, task] of tasks) {
    const weights = await weightsOf(task);
    for (const [found, result] of await evaluateWeights(weights, options, [name])) results.set(found, result);
  }
  return results;
}

/** The mean of the models' logits on every example, summed in float64. */
async function evaluateEnsemble(
  models: readonly (() => Promise<ReadonlyMap<string, Float32Array>>)[],
  { classifier, examples, limit, signal }: EvaluateOptions,
  names: readonly string[],
): Promise<Evaluations> {
  const sums = new Map<string, Float64Array>();
  for (const model of models) {
    await classifier.setWeights(await model());
    for (const name of names) {
      const store = examples.get(name);
      if (store === undefined) continue;
      const logits = await classifier.taskLogits(name, store, { limit, signal });
      const sum = sums.get(name) ?? new Float64Array(logits.length);
      for (let i = 0; i < logits.length; i++) sum[i] = (sum[i] ?? 0) + (logits[i] ?? 0) / models.length;
      sums.set(name, sum);
    }
  }
  const results = new Map<string, Evaluation | UnlabelledEvaluation>();
  for (const [name, sum] of sums) {
    const store = examples.get(name);
    if (store === undefined) continue;
    const classes = sum.length / Math.min(limit ?? store.size, store.size);
    results.set(name, judgeExamples(name, Float32Array.from(sum), classes, store));
  }
  return results;
}

async function collect(
  tensors: AsyncIterable<{ name: string; values: Float32Array }>,
): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for await (const { name, values } of tensors) weights.set(name, values);
  return weights;
}

async function multitaskWeights({ suite, model, base }: Inputs): Promise<Map<string, Float32Array>> {
  return modelWeights(await openExpert(await multitaskOf(suite), base), base, model);
}

/** An expert as its files have it, whatever is done to its task vector: every tensor of the tower, those that it lacks from the base. */
export async function expertWeights({ tasks, model, base }: Inputs, task: number): Promise<Map<string, Float32Array>> {
  return modelWeights(await openExpert(tasks[task]?.expert ?? "", base), base, model);
}

/** A row of the table from evaluations, of the tasks that have one: accuracies, or entropies unless all have labels. */
export function rowOf(method: string, tasks: readonly string[], results: Evaluations): ResultRow {
  const judged = tasks.filter((task) => results.has(task));
  const found = judged.flatMap((task) => results.get(task) ?? []);
  if (found.every(isScored))
    return resultRow(
      method,
      judged,
      found.map(({ accuracyPercent }) => accuracyPercent),
    );
  return resultRow(
    method,
    judged,
    found.map(({ entropyNats }) => entropyNats),
    "entropy_nats",
  );
}

/** Whether it is one of labelled examples. */
export const isScored = (evaluation: Evaluation | UnlabelledEvaluation): evaluation is Evaluation =>
  "accuracyPercent" in evaluation;

/** Evaluations of labelled examples, for code that has made sure of the labels. */
export function scoredEvaluations(evaluations: Evaluations): ReadonlyMap<string, Evaluation> {
  return new Map(
    [...evaluations].map(([task, evaluation]): [string, Evaluation] => {
      assert(isScored(evaluation), `the examples of ${task} have no labels`);
      return [task, evaluation];
    }),
  );
}

/** The row of learned coefficients [N, K]. */
export async function judgeLearned(
  config: RunConfig,
  inputs: Inputs,
  coefficientsNK: Float32Array,
  options: EvaluateOptions,
): Promise<Judged> {
  const names = inputs.judged.map((task) => task.name);
  const evaluations = await evaluateMerged(inputs, coefficientsNK, options);
  return { row: rowOf(learnedName(config), names, evaluations), evaluations };
}

/** After granularity, processing and objective: `adamerging_layer_wise_pp`, or `layer_wise_tsv_expert` where it is not AdaMerging's entropy. */
export function learnedName({ granularity, task_vectors, objective }: RunConfig): string {
  const processing = processingOf(task_vectors);
  const suffix = processing === undefined ? "" : `_${processing.suffix}`;
  return fitName(objective.name, `${granularity.replace("-", "_")}${suffix}`);
}

/** The evaluations of a model as scores, in the order of its row. */
export function scoresOf({ evaluations }: Judged): TaskScore[] {
  return [...evaluations].map(([task, evaluation]) => ({ task, ...evaluation }));
}

/** What a fit is read against. Averaging processed vectors is not weight averaging, so ++ runs have one only. */
export async function judgeComparisons(config: RunConfig, inputs: Inputs, options: EvaluateOptions): Promise<Judged[]> {
  const names = config.task_vectors.processing === "none" ? ["pretrained", "weight_averaging"] : ["pretrained"];
  const judged: Judged[] = [];
  for (const name of names) judged.push(await judgeMethod(config, inputs, chooseMethod(name), options));
  return judged;
}
