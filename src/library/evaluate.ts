/** `evaluate` for programs: what `adamerge eval` does on a config's suite, with the same results. Of saved models: evaluate-model.ts. */
import type { ResultRow } from "../report/summary.js";
import { evaluateMethod } from "../run/judge/evaluate-method.js";
import { suiteInputs } from "../run/suite/suite-place.js";
import type { PredictionsRecord } from "../track/run-folder.js";
import { coefficientsPath } from "./coefficients-path.js";
import { type ConfigSource, resolveConfig } from "./load-config.js";
import { type PredictionsOption, predictionsFile } from "./predictions-file.js";
import { resolveWork, type WorkOptions } from "./work-options.js";

/** What is judged: what a run learned (its folder, or a coefficients.json), or a training-free method with settings over its defaults. */
export type EvaluationTarget =
  | { readonly coefficients: string }
  | { readonly method: string; readonly settings?: Readonly<Record<string, unknown>> | undefined };

/** Options of `evaluate`. */
export interface EvaluateOptions extends WorkOptions, PredictionsOption {}

/** How good a model is, by task and by example. */
export interface EvaluationResult {
  /** Accuracy in percent by task, and their mean; entropies where the config's data has no labels. */
  readonly row: ResultRow;
  /** The predicted class of every example. */
  readonly predictions: PredictionsRecord;
}

/** Throws ConfigError for a method or setting that is not known, and CheckpointError for coefficients that do not fit the suite. */
export async function evaluate(
  config: ConfigSource,
  target: EvaluationTarget,
  options: EvaluateOptions = {},
): Promise<EvaluationResult> {
  const work = resolveWork(options);
  const judged =
    "coefficients" in target
      ? ({ kind: "coefficients", path: await coefficientsPath(target.coefficients, work.cwd) } as const)
      : ({ kind: "method", name: target.method, settings: target.settings ?? {} } as const);
  const { config: resolved, configPath } = await resolveConfig(config, work);
  const file = await predictionsFile(options.predictions, work, async () => [
    // A suite that cannot be opened is said by the evaluation.
    ...(await suiteInputs(resolved, { configPath, cacheDir: work.cacheDir }).catch(() => [])),
    ...(judged.kind === "coefficients" ? [{ path: judged.path, what: "the file of coefficients" }] : []),
  ]);
  const result = await evaluateMethod(resolved, judged, work);
  await file?.write(result.predictions);
  return result;
}
