/** `adamerge eval`: accuracy of a merged model, of the base or of the experts, on a config's suite. */
import { ConfigError } from "../errors.js";
import { textTable } from "../report/table.js";
import { coefficientsPath } from "./coefficients-path.js";
import { EXIT_OK } from "./exit-codes.js";
import { type EvaluationTarget, loadCliConfig, printJson, workOptions } from "./io.js";
import { configPositional, defineVerb, jsonOption, overridesPositional, quietOption } from "./verb.js";

/** Task arithmetic's scale in the papers on merging eight CLIP models. */
const DEFAULT_SCALE = 0.3;
const METHODS = ["pretrained", "individual", "weight_averaging", "task_arithmetic"] as const;

export const evalVerb = defineVerb({
  name: "eval",
  usage: "<config> [overrides..]",
  describe: "Measure accuracy: of learned coefficients, or of a method without learning",
  positionals: { config: configPositional, overrides: overridesPositional },
  options: {
    coefficients: { describe: "coefficients.json, or the run folder it is in", type: "string", requiresArg: true },
    method: { describe: "Method without learning", choices: METHODS, requiresArg: true },
    scale: { describe: `Scale of task_arithmetic (default ${DEFAULT_SCALE})`, type: "number", requiresArg: true },
    quiet: quietOption,
    json: jsonOption,
  },
  examples: [
    ["eval configs/mini4.yaml --coefficients runs/mini4/default", "Evaluate what a run learned"],
    ["eval configs/mini4.yaml --method task_arithmetic --scale 0.4", "Evaluate a baseline"],
  ],
  async run({ config: file, overrides, coefficients, method, scale, quiet, json }, io) {
    const target = await evaluationTarget(coefficients, method, scale, io.cwd);
    const { config } = await loadCliConfig(file, overrides, io);
    const library = await io.library();
    const row = await library.evaluateMethod(config, target, workOptions(io, { quiet }));
    if (json) printJson(io, row);
    else if (quiet) io.stdout.write(`${row.average.toFixed(2)}\n`);
    else io.stdout.write(`${textTable([row])}\n`);
    return EXIT_OK;
  },
});

async function evaluationTarget(
  coefficients: string | undefined,
  method: (typeof METHODS)[number] | undefined,
  scale: number | undefined,
  cwd: string,
): Promise<EvaluationTarget> {
  if ((coefficients === undefined) === (method === undefined)) {
    const found = coefficients === undefined ? "neither" : "both";
    throw new ConfigError(`expected one of --coefficients FILE and --method NAME, found ${found}`);
  }
  if (scale !== undefined && method !== "task_arithmetic")
    throw new ConfigError("--scale: expected with --method task_arithmetic only");
  if (scale !== undefined && !Number.isFinite(scale))
    throw new ConfigError("--scale: expected a number, found something else");
  if (coefficients !== undefined) return { kind: "coefficients", path: await coefficientsPath(coefficients, cwd) };
  if (method === "task_arithmetic") return { kind: method, scale: scale ?? DEFAULT_SCALE };
  return { kind: method ?? "pretrained" };
}
