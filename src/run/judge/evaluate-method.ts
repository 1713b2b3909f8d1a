/** Evaluates one model of a suite: a baseline, or saved coefficients. */
import { judgedSplit } from "../../config/judged-split.js";
import type { RunConfig } from "../../config/schema.js";
import type { ResultRow } from "../../report/summary.js";
import { readCoefficients, requireOwnHeads } from "../../track/coefficients-file.js";
import type { PredictionsRecord } from "../../track/run-folder.js";
import { tensorCoefficients } from "../records/tensor-coefficients.js";
import { type SessionOptions, withSession } from "../session/session.js";
import { chooseMethod } from "./choose-method.js";
import { evaluateMerged, type Judged, judgeMethod, rowOf } from "./judge-models.js";
import { predictionsRecord } from "./predictions-record.js";

/** Saved coefficients, or a training-free method by its name and settings. */
export type EvaluatedMethod =
  | { readonly kind: "coefficients"; readonly path: string }
  | { readonly kind: "method"; readonly name: string; readonly settings: Readonly<Record<string, unknown>> };

/** Accuracy in percent per task (without an eval_split: entropy), and the predictions, of the model that `method` describes. */
export async function evaluateMethod(
  config: RunConfig,
  method: EvaluatedMethod,
  options: SessionOptions,
): Promise<{ readonly row: ResultRow; readonly predictions: PredictionsRecord }> {
  const judged = await judge(config, method, options);
  return { row: judged.row, predictions: predictionsRecord(judgedSplit(config), [judged]) };
}

async function judge(config: RunConfig, method: EvaluatedMethod, options: SessionOptions): Promise<Judged> {
  // First: a misspelt name or a damaged file is told before anything is loaded.
  const chosen =
    method.kind === "method"
      ? chooseMethod(method.name, method.settings)
      : { ...method, record: await readCoefficients(method.path) };
  if (chosen.kind === "coefficients") requireOwnHeads(chosen.record, chosen.path);
  if (chosen.kind !== "coefficients") {
    const plain = withoutProcessing(config, options.log);
    return withSession(plain, options, ({ inputs, evaluation }) => judgeMethod(plain, inputs, chosen, evaluation));
  }
  return withSession(config, options, async ({ inputs, evaluation }) => {
    const coefficientsNK = tensorCoefficients(chosen.record, inputs, chosen.path);
    const names = inputs.judged.map((task) => task.name);
    const evaluations = await evaluateMerged(inputs, coefficientsNK, evaluation);
    return { row: rowOf("coefficients", names, evaluations), evaluations };
  });
}

/** A method has its own way with task vectors: a config's processing and origin are for the coefficients that it learns, as in the table of a fit. */
function withoutProcessing(config: RunConfig, log: (line: string) => void): RunConfig {
  const { task_vectors } = config;
  const { origin, processing } = task_vectors;
  const unused = [
    ...(origin === "pretrained" ? [] : [`task_vectors.origin=${origin}`]),
    ...(processing === "none" ? [] : [`task_vectors.processing=${processing}`]),
  ];
  if (unused.length === 0) return config;
  const of = unused.length === 1 ? "is" : "are";
  log(
    `notice: methods take the task vectors as they are; ${unused.join(" and ")} of the config ${of} for learned coefficients`,
  );
  return { ...config, task_vectors: { ...task_vectors, origin: "pretrained", processing: "none" } };
}
