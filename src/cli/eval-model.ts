/** `adamerge eval` of a saved model's folder: accuracy of its heads on labelled examples. */
import { ConfigError } from "../errors.js";
import type { EvaluateModelOptions, ResultRow } from "../index.js";
import { resultsText } from "../report/results-text.js";
import { EXIT_OK } from "./exit-codes.js";
import { type CliIo, printJson, tableSpace, workOptions } from "./io.js";
import { requireWhole } from "./verb.js";

interface EvalModelFlags extends Pick<EvaluateModelOptions, "suite" | "split" | "device" | "threads" | "predictions"> {
  readonly data: readonly string[] | undefined;
  readonly column: string | undefined;
  readonly "pair-column": string | undefined;
  readonly "label-column": string | undefined;
  readonly overwrite: boolean;
  readonly quiet: boolean;
  readonly json: boolean;
}

export async function evaluateSaved(folder: string, flags: EvalModelFlags, io: CliIo): Promise<number> {
  const { data, suite, split, device, threads, predictions, overwrite, quiet, json } = flags;
  if (threads !== undefined) requireWhole("threads", threads, 0);
  const columns = { column: flags.column, pairColumn: flags["pair-column"], labelColumn: flags["label-column"] };
  const given = { data, suite, split, device, threads, predictions, ...columns };
  const { row } = await io.library.evaluateModel(folder, { ...workOptions(io, { quiet, overwrite }), ...given });
  printRow(row, { json, quiet }, io);
  return EXIT_OK;
}

/** Throws ConfigError where a config is given with what belongs to a saved model. */
export function refuseModelFlags(
  config: string,
  flags: Omit<EvalModelFlags, "predictions" | "overwrite" | "quiet" | "json">,
): void {
  const { data, suite, split, device, threads, column, "pair-column": pair, "label-column": label } = flags;
  const columns = { column, "pair-column": pair, "label-column": label };
  const given = Object.entries({ data, suite, split, device, threads, ...columns });
  const [found] = given.flatMap(([flag, value]) => (value === undefined ? [] : [flag]));
  if (found === undefined) return;
  throw new ConfigError(
    `--${found}: expected the folder of a saved model with it, found ${config}, which is none; a config says it itself (suite=, data.eval_split=, device=, threads=; its suite names columns)`,
  );
}

export function printRow(
  row: ResultRow,
  { json, quiet }: { readonly json: boolean; readonly quiet: boolean },
  io: CliIo,
): void {
  if (json) printJson(io, row);
  else if (quiet) io.stdout.write(`${row.average.toFixed(2)}\n`);
  else io.stdout.write(`${resultsText([row], tableSpace(io))}\n`);
}
