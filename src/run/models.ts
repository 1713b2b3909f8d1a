/**
 * The models that a table compares, as coefficients of one bundle: the base, single experts, averages, sums, and what was
 * learned. All are merged and evaluated by the same code. N tensors, K tasks.
 */
import type { RunConfig } from "../config/schema.js";
import type { LabelledPixels } from "../data/pixels.js";
import { toTensorCoefficients, uniformCoefficients } from "../merge/coefficients.js";
import { mergedTensors } from "../merge/merged-weights.js";
import type { Classifier, Evaluation } from "../optimize/evaluate.js";
import { type ResultRow, resultRow } from "../report/summary.js";
import type { Inputs } from "./inputs.js";

export type BaselineMethod =
  | { readonly kind: "pretrained" }
  | { readonly kind: "individual" }
  | { readonly kind: "weight_averaging" }
  | { readonly kind: "task_arithmetic"; readonly scale: number };

/** One coefficient per task of a baseline that is a single model. Averaging T experts is task arithmetic at 1/T. */
function taskScale(method: Exclude<BaselineMethod, { kind: "individual" }>, tasks: number): number {
  switch (method.kind) {
    case "pretrained":
      return 0;
    case "weight_averaging":
      return 1 / tasks;
    case "task_arithmetic":
      return method.scale;
    default:
      return method satisfies never;
  }
}

/** The same coefficient per task for every tensor: [N, K]. */
function perTensor(inputs: Inputs, perTask: readonly number[]): Float32Array {
  const { grouping } = inputs;
  return toTensorCoefficients(uniformCoefficients(perTask, grouping.groups.length), grouping, perTask.length);
}

export interface EvaluateOptions {
  readonly classifier: Classifier;
  readonly pixels: ReadonlyMap<string, LabelledPixels>;
  readonly limit: number | undefined;
  readonly signal: AbortSignal;
}

/** Evaluates the model merged with `coefficientsNK` on the given tasks, in their order. */
export async function evaluateMerged(
  inputs: Inputs,
  coefficientsNK: Float32Array,
  { classifier, pixels, limit, signal }: EvaluateOptions,
  tasks: readonly string[] = inputs.tasks.map((task) => task.name),
): Promise<Map<string, Evaluation>> {
  const weights = new Map<string, Float32Array>();
  for await (const { name, values } of mergedTensors(inputs.bundle, coefficientsNK)) weights.set(name, values);
  await classifier.setWeights(weights);
  const results = new Map<string, Evaluation>();
  for (const task of tasks) {
    const store = pixels.get(task);
    if (store !== undefined) results.set(task, await classifier.evaluate(task, store, { limit, signal }));
  }
  return results;
}

/** A baseline's row of the table. `individual` judges every expert on its own task only. */
export async function baselineRow(
  inputs: Inputs,
  method: BaselineMethod,
  options: EvaluateOptions,
): Promise<ResultRow> {
  const names = inputs.tasks.map((task) => task.name);
  if (method.kind !== "individual") {
    const scale = taskScale(method, names.length);
    const results = await evaluateMerged(
      inputs,
      perTensor(
        inputs,
        names.map(() => scale),
      ),
      options,
    );
    return rowOf(method.kind, names, results);
  }
  const results = new Map<string, Evaluation>();
  for (const name of names) {
    const alone = perTensor(
      inputs,
      names.map((other) => (other === name ? 1 : 0)),
    );
    for (const [task, result] of await evaluateMerged(inputs, alone, options, [name])) results.set(task, result);
  }
  return rowOf("individual", names, results);
}

/** A row of the table from evaluations. */
export function rowOf(method: string, tasks: readonly string[], results: ReadonlyMap<string, Evaluation>): ResultRow {
  return resultRow(
    method,
    tasks,
    tasks.map((task) => results.get(task)?.accuracyPercent ?? Number.NaN),
  );
}

/** The row of learned coefficients [N, K], named after the granularity and the processing of `config`. */
export async function learnedRow(
  config: RunConfig,
  inputs: Inputs,
  coefficientsNK: Float32Array,
  options: EvaluateOptions,
): Promise<ResultRow> {
  const names = inputs.tasks.map((task) => task.name);
  const suffix = config.task_vectors.processing === "ties" ? "_pp" : "";
  const method = `adamerging_${config.granularity.replace("-", "_")}${suffix}`;
  return rowOf(method, names, await evaluateMerged(inputs, coefficientsNK, options));
}

/** The rows that a fit is read against. Averaging processed vectors is not weight averaging, so ++ runs have one only. */
export async function comparisonRows(
  config: RunConfig,
  inputs: Inputs,
  options: EvaluateOptions,
): Promise<ResultRow[]> {
  const rows = [await baselineRow(inputs, { kind: "pretrained" }, options)];
  if (config.task_vectors.processing === "none")
    rows.push(await baselineRow(inputs, { kind: "weight_averaging" }, options));
  return rows;
}
