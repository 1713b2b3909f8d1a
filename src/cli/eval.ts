/**
 * `adamerge eval`: accuracy of a merged model, of the base or of the experts, on a config's suite; or of a saved model
 * (eval-model.ts).
 */
import { stat } from "node:fs/promises";
import path from "node:path";
import { ConfigError } from "../errors.js";
import type { EvaluationTarget } from "../index.js";
import { evaluateSaved, printRow, refuseModelFlags } from "./eval-model.js";
import { EXIT_OK } from "./exit-codes.js";
import { workOptions } from "./io.js";
import {
  configPositional,
  defineVerb,
  deviceOption,
  jsonOption,
  overridesPositional,
  quietOption,
  threadsOption,
} from "./verb.js";

const columnOption = { type: "string", requiresArg: true } as const;

export const evalVerb = defineVerb({
  name: "eval",
  group: "learn",
  usage: "<config> [overrides..]",
  describe: "Measure accuracy: of learned coefficients, of a training-free method, or of a saved model",
  positionals: {
    config: { ...configPositional, describe: "Config file (YAML), or the folder of a saved model" },
    overrides: overridesPositional,
  },
  options: {
    coefficients: { describe: "coefficients.json, or the run folder it is in", type: "string", requiresArg: true },
    method: { describe: "Training-free method; `adamerge methods` lists them", type: "string", requiresArg: true },
    set: { describe: "Settings of the method: key=value,key=value", type: "string", requiresArg: true },
    data: {
      describe: "Of a saved model: TASK=FOLDER of labelled images or texts, for the head of that task; may be repeated",
      type: "string",
      array: true,
      requiresArg: true,
    },
    column: { ...columnOption, describe: "With --data: column of the images' paths or of the texts in tables" },
    "pair-column": { ...columnOption, describe: "With --data: column of the other text of pairs" },
    "label-column": { ...columnOption, describe: "With --data: column of the labels" },
    suite: { describe: "Of a saved model: a suite, for all its tasks", type: "string", requiresArg: true },
    split: { describe: "With --data or --suite: the split that is judged; test", type: "string", requiresArg: true },
    // Without defaults: a config has its own (device=, threads=).
    device: { ...deviceOption, default: undefined, describe: "Of a saved model: where it is computed; auto" },
    threads: { ...threadsOption, default: undefined, describe: "Of a saved model: CPU threads; all cores" },
    predictions: {
      describe: "Write the predicted class of every example to this JSON file, a new one",
      type: "string",
      requiresArg: true,
    },
    overwrite: { describe: "Replace the file of --predictions if it is there", type: "boolean", default: false },
    quiet: quietOption,
    json: jsonOption,
  },
  examples: [
    ["eval mini8 --coefficients runs/mini8/default", "Evaluate what a run learned"],
    ["eval mini8 --method ties --set density=0.1,scale=0.4", "Evaluate a baseline"],
    ["eval merged --data pets=photos/pets --data cars=photos/cars", "Evaluate a saved model on your own images"],
  ],
  async run(args, io) {
    const { config: file, overrides, coefficients, method, set, predictions, overwrite, quiet, json } = args;
    const folder = path.resolve(io.cwd, file);
    if ((await stat(folder).catch(() => undefined))?.isDirectory() === true) {
      refuseWith(file, { coefficients, method, set, setting: overrides[0] });
      return evaluateSaved(folder, args, io);
    }
    refuseModelFlags(file, args);
    const target = await evaluationTarget(coefficients, method, set);
    const config = await io.library.loadConfig(file, { overrides, cwd: io.cwd });
    const work = workOptions(io, { quiet, overwrite });
    const { row } = await io.library.evaluate(config, target, { ...work, predictions });
    printRow(row, { json, quiet }, io);
    return EXIT_OK;
  },
});

/** Throws ConfigError where a saved model's folder is given with what belongs to a config. */
function refuseWith(folder: string, given: Readonly<Record<string, string | undefined>>): void {
  const [found] = Object.entries(given).flatMap(([flag, value]) => (value === undefined ? [] : [flag]));
  if (found === undefined) return;
  throw new ConfigError(
    `${folder} is a folder, so a saved model: expected --data TASK=FOLDER or --suite SUITE with it, found ${found === "setting" ? given.setting : `--${found}`}; for a method or coefficients give a config file`,
  );
}

async function evaluationTarget(
  coefficients: string | undefined,
  method: string | undefined,
  set: string | undefined,
): Promise<EvaluationTarget> {
  if ((coefficients === undefined) === (method === undefined)) {
    const found = coefficients === undefined ? "neither" : "both";
    throw new ConfigError(`expected one of --coefficients FILE and --method NAME, found ${found}`);
  }
  if (set !== undefined && method === undefined) throw new ConfigError("--set: expected with --method only");
  if (coefficients !== undefined) return { coefficients };
  return { method: method ?? "", settings: await parseSettings(set ?? "") };
}

/** `a=1,b=[2,3]` as YAML's flow form reads it. */
async function parseSettings(text: string): Promise<Record<string, unknown>> {
  const { parse } = await import("yaml");
  try {
    const value: unknown = parse(`{${text.replaceAll("=", ": ")}}`);
    if (typeof value === "object" && value !== null) return { ...value };
  } catch {
    // Said below, with what was typed.
  }
  throw new ConfigError(`--set: expected key=value,key=value, found ${text}`);
}
