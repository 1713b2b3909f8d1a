/**
 * The models that a table compares, as coefficients of one bundle: the base, single experts, averages, sums, and what was
 * learned. All are merged and evaluated by the same code. N tensors, K tasks.
 */

import type { RunConfig } from "../../config/schema.js";
import { stageConfigs } from "../../config/stages.js";
import { multitaskOf } from "../../data/suite.js";
import { assert } from "../../errors.js";
import { toTensorCoefficients, uniformCoefficients } from "../../merge/coefficients.js";
import { mergeBundle } from "../../merge/merge-bundle.js";
import { mergedTensors, pretrainedTensors } from "../../merge/merged-weights.js";
import { processingOf } from "../../merge/task-vector-processings.js";
import { openExpert } from "../../model/open-models.js";
import { fitName } from "../../objective/catalog.js";
import type { Evaluation, UnlabelledEvaluation } from "../../optimize/evaluate.js";
import type { TaskScore } from "../../optimize/events.js";
import { type ResultRow, resultRow } from "../../report/summary.js";
import { asPiece, inParts } from "../../runtime/progress.js";
import type { EvaluateOptions } from "../session/evaluate-options.js";
import type { Inputs } from "../session/inputs.js";
import { modelWeights } from "../suite/stored-weights.js";
import type { ChosenMethod, Reference } from "./choose-method.js";
import { collect, type Evaluations, evaluateEach, evaluateEnsemble, evaluateOne } from "./evaluate-weights.js";

/** The same coefficient per task for every tensor: [N, K]. */
export function perTensor(inputs: Inputs, coefficientOf: (task: number) => number): Float32Array {
  const { grouping, tasks } = inputs;
  const perTask = tasks.map((_, task) => coefficientOf(task));
  return toTensorCoefficients(uniformCoefficients(perTask, grouping.groups.length), grouping, perTask.length);
}

/** A row of the table with the evaluations it comes from. */
export interface Judged {
  readonly row: ResultRow;
  readonly evaluations: Evaluations;
}

/** Evaluates the model merged with `coefficientsNK` on the judged tasks, in their order. */
export async function evaluateMerged(
  inputs: Inputs,
  coefficientsNK: Float32Array,
  options: EvaluateOptions,
): Promise<Evaluations> {
  const names = inputs.judged.map((task) => task.name);
  return evaluateOne("coefficients", names, () => collect(mergedTensors(inputs.bundle, coefficientsNK)), options);
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
  { probe, findings, changes, onProgress }: Pick<EvaluateOptions, "probe" | "findings" | "changes" | "onProgress">,
): Promise<(options: EvaluateOptions) => Promise<Judged>> {
  const names = inputs.judged.map((task) => task.name);
  const judged = (evaluations: Evaluations): Judged => ({
    row: rowOf(chosen.name, names, evaluations),
    evaluations,
  });
  if (chosen.kind === "reference")
    return async (options) => judged(await evaluateReference(inputs, chosen.name, options, names));
  const { method, parameters } = chosen;
  const preparing = () => mergeBundle(inputs.bundle, { method, parameters, seed, probe, findings, changes });
  const merged = await asPiece(onProgress, `preparing ${chosen.name}`, preparing);
  if (method.perTask === true) {
    const own = mergedAmong(inputs, names);
    const merge = async (task: number) => collect(merged(task));
    return async (options) => judged(await evaluateEach(chosen.name, own, merge, options));
  }
  const piece = { what: `merging ${chosen.name}`, total: inputs.bundle.tensors.length, unit: "tensors" };
  const weights = await inParts(onProgress, piece, (more) => collect(merged(0), more));
  return async (options) => judged(await evaluateOne(chosen.name, names, async () => weights, options));
}

async function evaluateReference(
  inputs: Inputs,
  reference: Reference,
  options: EvaluateOptions,
  names: readonly string[],
): Promise<Evaluations> {
  const alone = (task: number) =>
    collect(
      mergedTensors(
        inputs.bundle,
        perTensor(inputs, (other) => (other === task ? 1 : 0)),
      ),
    );
  switch (reference) {
    case "pretrained":
      return evaluateOne(reference, names, () => collect(pretrainedTensors(inputs.bundle)), options);
    case "individual":
      return evaluateEach(reference, mergedAmong(inputs, names), alone, options);
    case "multi_task":
      return evaluateOne(reference, names, () => multitaskWeights(inputs), options);
    case "logit_ensemble": {
      const models = inputs.tasks.map((_, task) => () => alone(task));
      return evaluateEnsemble(reference, names, models, options);
    }
    default:
      return reference satisfies never;
  }
}

/** Those of the judged tasks that have an expert among the merged ones, with its place. */
export function mergedAmong({ tasks }: Inputs, names: readonly string[]): [string, number][] {
  return names.flatMap((name): [string, number][] => {
    const task = tasks.findIndex((merged) => merged.name === name);
    return task < 0 ? [] : [[name, task]];
  });
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
  return judgeWeights(config, inputs, await collect(mergedTensors(inputs.bundle, coefficientsNK)), options);
}

/** The row of merged weights, every tensor of the bundle. */
export async function judgeWeights(
  config: RunConfig,
  inputs: Inputs,
  weights: ReadonlyMap<string, Float32Array>,
  options: EvaluateOptions,
): Promise<Judged> {
  const names = inputs.judged.map((task) => task.name);
  const name = learnedName(config);
  const evaluations = await evaluateOne(name, names, async () => weights, options);
  return { row: rowOf(name, names, evaluations), evaluations };
}

/**
 * After granularity (or what else is learned, in each stage), processing and the last objective: `adamerging_layer_wise_pp`, or
 * `layer_wise_then_rows_tsv_expert` where it is not AdaMerging's entropy. Heads that are learned too are named: `layer_wise_heads_tsv_expert`.
 * So is the origin of the task vectors, but for a processing that has no other: `layer_wise_from_average`.
 */
export function learnedName(config: RunConfig): string {
  const processing = processingOf(config.task_vectors);
  const { origin, processing: chosen } = config.task_vectors;
  const from = origin === "average" && chosen !== "cart" ? "_from_average" : "";
  const suffix = `${from}${processing === undefined ? "" : `_${processing.suffix}`}`;
  const stages = stageConfigs(config);
  const learned = stages.map(({ granularity, parametrisation, heads }) => {
    const ofWeights = parametrisation === "scalar" ? granularity.replace("-", "_") : parametrisation;
    if (heads === "frozen") return ofWeights;
    const ofHeads = heads === "trained" ? "heads" : heads;
    return parametrisation === "none" ? ofHeads : `${ofWeights}_${ofHeads}`;
  });
  return fitName(stages.at(-1)?.objective.name ?? config.objective.name, `${learned.join("_then_")}${suffix}`);
}

/** The evaluations of a model as scores, in the order of its row. */
export function scoresOf({ evaluations }: Judged): TaskScore[] {
  return [...evaluations].map(([task, evaluation]) => ({ task, ...evaluation }));
}
