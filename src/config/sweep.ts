/**
 * A sweep file: a run config, the keys that vary and how trials are drawn from them. Reads and checks the file and makes the
 * list of trials; runs nothing. Random values are a pure function of the sweep's seed, the trial's number and the key.
 */
import path from "node:path";
import { z } from "zod";
import { ConfigError } from "../errors.js";
import { createRng } from "../runtime/rng.js";
import { fileFolderName } from "./file-name.js";
import { explainIssue } from "./issues.js";
import { configKeys, unknownKeyText } from "./keys.js";
import { findShipped } from "./shipped-files.js";
import { slurmSchema } from "./slurm.js";
import { readYamlFile } from "./strict-yaml.js";

const rangeSchema = z
  .strictObject({
    min: z.number().describe("Least value"),
    max: z.number().describe("Greatest value"),
    log: z.boolean().default(false).describe("Uniform in the logarithm"),
    integer: z.boolean().default(false).describe("Whole numbers only"),
  })
  .superRefine(({ min, max, log }, context) => {
    if (min > max)
      context.addIssue({ code: "custom", path: ["max"], message: `expected at least min (${min}), found ${max}` });
    if (log && min <= 0)
      context.addIssue({ code: "custom", path: ["min"], message: `expected above 0 with log, found ${min}` });
  });

/** Of a sweep. One of 10,000 trials of a minute takes a week; more is a slip of the keys, and would fill the memory first. */
const MAX_TRIALS = 10_000;

const sweepSchema = z
  .strictObject({
    config: z.string().min(1).describe("Run config of every trial, relative to this file"),
    search: z
      .enum(["grid", "random", "halving"])
      .default("grid")
      .describe("grid: every combination; random: `trials` draws; halving: as random, and only the best go on (ASHA)"),
    trials: z.int().min(1).max(MAX_TRIALS).default(24).describe("Number of draws; a grid has its own"),
    seed: z.int().min(0).default(0).describe("Seed of the draws"),
    metric: z
      .string()
      .regex(/^eval\//, "a metric of evaluations, such as eval/acc or eval/loss/mnist")
      .default("eval/acc")
      .describe("What trials are ranked by, a name in metrics.jsonl"),
    goal: z.enum(["maximize", "minimize"]).default("maximize"),
    parameters: z
      .record(z.string(), z.union([z.array(z.unknown()).min(1), rangeSchema]))
      .refine((parameters) => Object.keys(parameters).length > 0, "expected at least one key")
      .describe("Config key to its values, or to {min, max, log, integer}"),
    settings: z.array(z.string()).default([]).describe("Overrides of the config for all trials, key=value"),
    halving: z
      .strictObject({
        first_steps: z.int().min(1).describe("Steps after which trials are first compared"),
        factor: z.int().min(2).default(3).describe("One of so many goes on, for so many times the steps"),
      })
      .optional(),
    slurm: slurmSchema.prefault({}).describe("Resources of a trial with --launcher slurm"),
  })
  .superRefine((sweep, context) => {
    const issue = (at: (string | number)[], message: string) => context.addIssue({ code: "custom", path: at, message });
    if ((sweep.search === "halving") !== (sweep.halving !== undefined))
      issue(["halving"], "expected with search: halving, and only there");
    const lengths = Object.values(sweep.parameters).map((values) => (Array.isArray(values) ? values.length : 1));
    const count = lengths.reduce((product, length) => product * length, 1);
    if (sweep.search === "grid" && count > MAX_TRIALS)
      issue(
        ["parameters"],
        `expected a grid of at most ${MAX_TRIALS} trials, found ${lengths.join(" x ")} = ${count}; vary fewer values, or draw some with search: random`,
      );
    for (const [key, values] of Object.entries(sweep.parameters)) {
      const known = configKeys.get(key);
      if (known === undefined || known.isSection) issue(["parameters", key], unknownKeyText(key));
      if (sweep.search === "grid" && !Array.isArray(values))
        issue(["parameters", key], "expected a list of values with search: grid; ranges are for random and halving");
    }
  });

export interface Sweep extends z.output<typeof sweepSchema> {
  /** The file's name: the experiment of its trials. */
  readonly name: string;
  /** Absolute path of the file. */
  readonly path: string;
}

/** One trial: the values it has drawn, by config key. */
export interface Trial {
  readonly index: number;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Reads a sweep file, or the one of this name that ships; `config` in the result is absolute. @throws ConfigError with every mistake */
export async function openSweep(file: string, cwd: string): Promise<Sweep> {
  const absolute = await findShipped(file, cwd, ["sweep"]);
  const { value, locate } = await readYamlFile(absolute, "a sweep file", { label: file });
  const parsed = sweepSchema.safeParse(value);
  if (!parsed.success) {
    const lines = parsed.error.issues.map(
      (issue) => `${locate(issue.path)}: ${issue.path.map(String).join(".") || "sweep"}: ${explainIssue(issue, value)}`,
    );
    throw new ConfigError(lines.join("\n"));
  }
  const { data } = parsed;
  return {
    ...data,
    name: fileFolderName(absolute),
    path: absolute,
    config: path.resolve(path.dirname(absolute), data.config),
  };
}

/** The trials of a sweep, in order: a grid's last key varies fastest. */
export function sweepTrials(sweep: Sweep): Trial[] {
  if (sweep.search === "grid") return gridOf(sweep).map((parameters, index) => ({ index, parameters }));
  return Array.from({ length: sweep.trials }, (_, index) => ({
    index,
    parameters: Object.fromEntries(
      Object.entries(sweep.parameters).map(([key, values]) => [key, draw(values, sweep.seed, index, key)]),
    ),
  }));
}

/** The trial's parameters as overrides. JSON is YAML, so that every value keeps its type. */
export function trialOverrides({ parameters }: Trial): string[] {
  return Object.entries(parameters).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
}

function gridOf({ parameters }: Sweep): Record<string, unknown>[] {
  return Object.entries(parameters).reduce<Record<string, unknown>[]>(
    (all, [key, values]) =>
      all.flatMap((chosen) => (Array.isArray(values) ? values : []).map((value) => ({ ...chosen, [key]: value }))),
    [{}],
  );
}

function draw(values: unknown[] | z.output<typeof rangeSchema>, seed: number, index: number, key: string): unknown {
  const rng = createRng(seed, "sweep", index, key);
  if (Array.isArray(values)) return values[rng.nextInt(values.length)];
  const { min, max, log, integer } = values;
  const share = rng.nextFloat();
  if (integer && !log) return min + Math.min(Math.floor(share * (max - min + 1)), max - min);
  const value = log ? min * (max / min) ** share : min + share * (max - min);
  // Six digits are enough for a setting and legible in a table.
  return integer ? Math.round(value) : Number(value.toPrecision(6));
}
