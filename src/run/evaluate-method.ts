/** Evaluates one model of a suite: a baseline, or saved coefficients. */
import type { RunConfig } from "../config/schema.js";
import type { ResultRow } from "../report/summary.js";
import { parseCoefficients } from "../track/coefficients-file.js";
import { readText, tensorCoefficients } from "./merge-to-directory.js";
import { type BaselineMethod, baselineRow, evaluateMerged, rowOf } from "./models.js";
import { type SessionOptions, withSession } from "./session.js";

export type EvaluatedMethod = BaselineMethod | { readonly kind: "coefficients"; readonly path: string };

/** Accuracy in percent per task of the model that `method` describes, on the config's eval_split. */
export async function evaluateMethod(
  config: RunConfig,
  method: EvaluatedMethod,
  options: SessionOptions,
): Promise<ResultRow> {
  return withSession(config, options, async ({ inputs, evaluation }) => {
    if (method.kind !== "coefficients") return baselineRow(inputs, method, evaluation);
    const record = parseCoefficients(await readText(method.path), method.path);
    const coefficientsNK = tensorCoefficients(record, inputs, method.path);
    const names = inputs.tasks.map((task) => task.name);
    return rowOf("coefficients", names, await evaluateMerged(inputs, coefficientsNK, evaluation));
  });
}
