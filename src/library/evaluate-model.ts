/** `evaluateModel` for programs: accuracy of a saved model's heads on labelled examples, as `adamerge eval` of its folder measures it. */
import path from "node:path";
import type { DeviceName } from "../engine/create-engine.js";
import { ConfigError } from "../errors.js";
import { evaluateModel as run } from "../run/predict/evaluate-model.js";
import type { EvaluationResult } from "./evaluate.js";
import { type PredictionsOption, predictionsFile } from "./predictions-file.js";
import { resolveWork, type Work, type WorkOptions } from "./work-options.js";

/** What a saved model is judged on, and where it is computed. */
export interface EvaluateModelOptions extends WorkOptions, PredictionsOption {
  /** Labelled images or texts for the heads of these tasks: folders or tables by task, or `TASK=FOLDER` as on the command line. */
  readonly data?: Readonly<Record<string, string>> | readonly string[] | undefined;
  /** Columns of these tables: of the images' paths or of the texts; found by its name if absent. */
  readonly column?: string | undefined;
  /** Of the other texts of pairs. */
  readonly pairColumn?: string | undefined;
  /** Of the labels. */
  readonly labelColumn?: string | undefined;
  /** Instead: a suite (its folder or suite.yaml), for all its tasks. */
  readonly suite?: string | undefined;
  /** The split that is judged; default: test, or what is like it. */
  readonly split?: string | undefined;
  /** Where it is computed; default: the fastest found. */
  readonly device?: DeviceName | undefined;
  /** Default: all cores. */
  readonly threads?: number | undefined;
}

/**
 * `folder`: of a merged model with heads, or of the run that it is in. Throws ConfigError unless there is one of `data` and `suite`, and for tasks
 * without a head; CheckpointError for a folder that is no such model; DataError for examples that do not fit.
 */
export async function evaluateModel(folder: string, options: EvaluateModelOptions): Promise<EvaluationResult> {
  const work = resolveWork(options);
  const { cwd, optionName } = work;
  const data = options.data === undefined ? undefined : dataByTask(options.data, work);
  const suite = options.suite === undefined ? undefined : path.resolve(cwd, options.suite);
  if ((data === undefined) === (suite === undefined))
    throw new ConfigError(
      `expected one of ${optionName("data")} TASK=FOLDER and ${optionName("suite")} SUITE with a saved model, found ${suite === undefined ? "neither" : "both"}`,
    );
  const model = path.resolve(cwd, folder);
  const file = await predictionsFile(options.predictions, work, async () => [
    { path: model, what: "the saved model" },
    ...[...(data ?? [])].map(([task, own]) => ({ path: own, what: `the examples of ${task}` })),
    ...(suite === undefined ? [] : [{ path: suite, what: "the suite" }]),
  ]);
  const { split, device, threads, column, pairColumn, labelColumn } = options;
  const result = await run(
    model,
    { data, suite, split, column, pairColumn, labelColumn },
    { ...work, device, threads },
  );
  await file?.write(result.predictions);
  return result;
}

/** Absolute paths. Throws ConfigError for a text that is no `TASK=FOLDER`, and for a task that comes twice. */
function dataByTask(
  given: NonNullable<EvaluateModelOptions["data"]>,
  { cwd, optionName }: Pick<Work, "cwd" | "optionName">,
): ReadonlyMap<string, string> {
  if (!isList(given)) return new Map(Object.entries(given).map(([task, place]) => [task, path.resolve(cwd, place)]));
  const data = new Map<string, string>();
  for (const text of given) {
    const [, task = "", place = ""] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (place === "" || data.has(task))
      throw new ConfigError(
        place === ""
          ? `${optionName("data")}: expected TASK=FOLDER, found ${text}`
          : `${optionName("data")}: expected each task once, found ${task} twice`,
      );
    data.set(task, path.resolve(cwd, place));
  }
  return data;
}

function isList(given: NonNullable<EvaluateModelOptions["data"]>): given is readonly string[] {
  return Array.isArray(given);
}
