/** `adamerge eval` of a saved model's folder: accuracy of its heads on labelled examples. */
import path from "node:path";
import type { DeviceName } from "../engine/create-engine.js";
import { ConfigError } from "../errors.js";
import type { ResultRow } from "../report/summary.js";
import { textTable } from "../report/table.js";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { requireFilePlace } from "../runtime/output-place.js";
import { EXIT_OK } from "./exit-codes.js";
import { type CliIo, printJson, workOptions } from "./io.js";
import { requireWhole } from "./verb.js";

interface EvalModelFlags {
  readonly data: readonly string[] | undefined;
  readonly suite: string | undefined;
  readonly split: string | undefined;
  readonly device: DeviceName | undefined;
  readonly threads: number | undefined;
  readonly predictions: string | undefined;
  readonly overwrite: boolean;
  readonly quiet: boolean;
  readonly json: boolean;
}

export async function evaluateSaved(folder: string, flags: EvalModelFlags, io: CliIo): Promise<number> {
  const { suite, split, device, threads, predictions: file, overwrite, quiet, json } = flags;
  if (threads !== undefined) requireWhole("threads", threads, 0);
  const data = dataByTask(flags.data, io.cwd);
  if ((data === undefined) === (suite === undefined))
    throw new ConfigError(
      `expected one of --data TASK=FOLDER and --suite SUITE with a saved model, found ${suite === undefined ? "neither" : "both"}`,
    );
  const output = file === undefined ? undefined : path.resolve(io.cwd, file);
  if (output !== undefined)
    await requireFilePlace(output, {
      shown: `--predictions ${file}`,
      inputs: [
        { path: folder, what: "the saved model" },
        ...[...(data ?? [])].map(([task, own]) => ({ path: own, what: `the examples of ${task}` })),
        ...(suite === undefined ? [] : [{ path: path.resolve(io.cwd, suite), what: "the suite" }]),
      ],
      overwrite,
    });
  const library = await io.library();
  const given = { data, split, suite: suite === undefined ? undefined : path.resolve(io.cwd, suite) };
  const work = { ...workOptions(io, { quiet }), device, threads };
  const { row, predictions } = await library.evaluateModel(folder, given, work);
  if (output !== undefined) await writeFileAtomic(output, `${JSON.stringify(predictions)}\n`);
  printRow(row, { json, quiet }, io);
  return EXIT_OK;
}

/** Throws ConfigError where a config is given with what belongs to a saved model. */
export function refuseModelFlags(
  config: string,
  { data, suite, split, device, threads }: Pick<EvalModelFlags, "data" | "suite" | "split" | "device" | "threads">,
): void {
  const given = Object.entries({ data, suite, split, device, threads });
  const [found] = given.flatMap(([flag, value]) => (value === undefined ? [] : [flag]));
  if (found === undefined) return;
  throw new ConfigError(
    `--${found}: expected the folder of a saved model with it, found ${config}, which is none; a config says it itself (suite=, data.eval_split=, device=, threads=)`,
  );
}

export function printRow(
  row: ResultRow,
  { json, quiet }: { readonly json: boolean; readonly quiet: boolean },
  io: CliIo,
): void {
  if (json) printJson(io, row);
  else if (quiet) io.stdout.write(`${row.average.toFixed(2)}\n`);
  else io.stdout.write(`${textTable([row])}\n`);
}

function dataByTask(given: readonly string[] | undefined, cwd: string): ReadonlyMap<string, string> | undefined {
  if (given === undefined) return undefined;
  const data = new Map<string, string>();
  for (const text of given) {
    const [, task = "", place = ""] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (place === "" || data.has(task))
      throw new ConfigError(
        place === ""
          ? `--data: expected TASK=FOLDER, found ${text}`
          : `--data: expected each task once, found ${task} twice`,
      );
    data.set(task, path.resolve(cwd, place));
  }
  return data;
}
