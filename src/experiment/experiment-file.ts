/**
 * An experiment: the rows of a table, each a method with its setting, over suites and sampler seeds. One YAML file in `experiments/` per table.
 * Reads and checks the file; runs nothing.
 */
import path from "node:path";
import { z } from "zod";
import { fileFolderName } from "../config/file-name.js";
import { explainIssue } from "../config/issues.js";
import { findShipped } from "../config/shipped-files.js";
import { readYamlFile } from "../config/strict-yaml.js";
import { ConfigError } from "../errors.js";
import { nearest } from "../runtime/nearest.js";
import { isAt, pointsOf, varySchema } from "./vary.js";

const rowName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.+-]*$/, "a name of letters, digits and _ . + -");

const reportedSchema = z.strictObject({
  by: z.string().min(1).max(30).describe("Whose numbers: the heading of their column"),
  average: z.number().optional().describe("Average over the tasks, percent"),
  tasks: z.record(z.string(), z.number()).default({}).describe("Percent by task"),
  at: z
    .record(z.string(), z.unknown())
    .default({})
    .describe("Of a row that varies: the settings for which these numbers are, by config key"),
  curve: z
    .array(z.tuple([z.int().min(0), z.number()]))
    .default([])
    .describe("Along a fit: [step, average over the tasks in percent], drawn beside ours"),
  source: z.string().min(1).describe("Where these numbers stand: paper and table, or documentation"),
});

const evolutionSchema = z.strictObject({
  setting: z.string().min(1).describe("The method's setting that is a list with a number for each task"),
  initial: z.number().describe("Of every number"),
  min: z.number().describe("Least value"),
  max: z.number().describe("Largest value"),
  evaluations: z.int().min(1).describe("Lists that are judged on val; a budget of its own"),
});

const rowSchema = z
  .strictObject({
    name: rowName.describe("Names the row in the table and its files"),
    method: z.string().optional().describe("A training-free method, as in `adamerge methods`, or a reference"),
    settings: z
      .record(z.string(), z.unknown())
      .default({})
      .describe("Settings of the method, where its defaults, which are the published ones, are not meant"),
    fit: z.array(z.string()).optional().describe("Instead of a method: a fit, with these overrides of the config"),
    setting: z
      .enum(["published", "val", "oracle"])
      .default("published")
      .describe("Where these settings come from: the paper, a search on val, or a search on the judged examples"),
    published: z
      .boolean()
      .default(true)
      .describe("With `search`: whether the settings above are a row of their own beside those that were searched"),
    search: z
      .record(z.string(), z.array(z.unknown()).min(1))
      .optional()
      .describe(
        "Settings that are searched: every combination is judged, and the best on val and the best of all (oracle) become rows",
      ),
    evolve: evolutionSchema.optional().describe("Instead of `search`: numbers per task that CMA-ES finds on val"),
    vary: varySchema
      .optional()
      .describe(
        "Settings that make the row a curve: lists by config key (every combination; the first key is the axis), or a list of points; `settings.x` is the method's x",
      ),
    overrides: z.array(z.string()).default([]).describe("Overrides of the config, of a method or a fit"),
    suites: z.array(z.string().min(1)).min(1).optional().describe("Suites of this row, instead of the experiment's"),
    reported: z.array(reportedSchema).default([]).describe("What others report for this row, shown beside it"),
    adaptation: z.array(z.string()).optional().describe("Names of the adaptations of a fit; all if not given"),
    seeds: z.array(z.int().min(0)).min(1).optional().describe("Sampler seeds of this fit, instead of the experiment's"),
  })
  .superRefine((row, context) => {
    if ((row.method === undefined) === (row.fit === undefined))
      context.addIssue({ code: "custom", path: [], message: "expected one of `method` and `fit`" });
    if (!row.published && !isSearched(row))
      context.addIssue({ code: "custom", path: ["published"], message: "expected `false` with `search` only" });
    const ways = (["vary", "search", "evolve"] as const).filter((key) => row[key] !== undefined);
    if (ways.length > 1)
      context.addIssue({
        code: "custom",
        path: [ways[0] ?? ""],
        message: `expected one of ${ways.map((key) => `\`${key}\``).join(" and ")}`,
      });
    if (row.evolve !== undefined && row.method === undefined)
      context.addIssue({ code: "custom", path: ["evolve"], message: "expected a row with `method`" });
  });

/** Whether the row's settings are found by a search. */
export function isSearched(row: { readonly search?: unknown; readonly evolve?: unknown }): boolean {
  return row.search !== undefined || row.evolve !== undefined;
}

const adaptationSchema = z.strictObject({
  name: rowName.describe("Shown in the table"),
  split: z
    .string()
    .min(1)
    .optional()
    .describe("Split whose unlabelled examples the fits see; the split that is judged if not given"),
});

const searchSchema = z.strictObject({
  budget: z
    .int()
    .min(1)
    .default(12)
    .describe("Settings that a row may try, the same for all; a fit's steps are settings too"),
  adapt_split: z.string().min(1).default("adapt").describe("Split whose unlabelled examples the fits of a search see"),
  eval_split: z.string().min(1).default("val").describe("Split on which settings are chosen"),
  eval_limit: z
    .int()
    .min(1)
    .optional()
    .describe("Examples of each task that a search judges at most, of both splits; as the config says if not given"),
});

const orderSchema = z.strictObject({
  by: z.string().min(1).max(60).describe("Whose results, and on what model and tasks"),
  source: z.string().min(1).describe("Where they stand"),
  averages: z.record(rowName, z.number()).describe("Average of each method there, percent, by name of the row"),
});

const experimentSchema = z.strictObject({
  title: z.string().min(1).describe("Heading of the table"),
  config: z.string().min(1).describe("Run config of every row, relative to this file"),
  suites: z
    .array(z.string().min(1))
    .min(1)
    .describe("Suites to average over, such as seeds of the experts; relative to this file"),
  seeds: z.array(z.int().min(0)).min(1).default([0]).describe("Sampler seeds of the fits"),
  adaptation: z.array(adaptationSchema).min(1).describe("What the fits adapt on; each gives rows of its own"),
  averages: z
    .record(rowName, z.array(z.string().min(1)).min(1))
    .default({})
    .describe(
      "Averages over some of the judged tasks, each a column of its own, such as tasks that are merged and tasks that are not",
    ),
  order: z
    .array(orderSchema)
    .default([])
    .describe("Results of the same methods on other tasks, whose order of the methods is compared with ours"),
  search: searchSchema.prefault({}).describe("How settings are searched"),
  rows: z.array(rowSchema).min(1).describe("In the order of the table"),
});

export type Evolution = z.output<typeof evolutionSchema>;
export type OtherOrder = z.output<typeof orderSchema>;
export type Reported = z.output<typeof reportedSchema>;
export type ExperimentRow = z.output<typeof rowSchema>;
export type SearchRules = z.output<typeof searchSchema>;
export type Adaptation = z.output<typeof adaptationSchema>;

export interface Experiment extends z.output<typeof experimentSchema> {
  /** The file's name: names the folder of its results. */
  readonly name: string;
  /** Absolute path of the file. */
  readonly path: string;
}

/** An experiment by its file, or by its name in `experimentsDir`. Paths in the result are absolute. Throws ConfigError with every mistake. */
export async function openExperiment(nameOrPath: string, experimentsDir: string, cwd: string): Promise<Experiment> {
  const file = await findShipped(nameOrPath, cwd, ["experiment"], experimentsDir);
  const { value, locate } = await readYamlFile(file, "an experiment", { aliases: true });
  const parsed = experimentSchema.safeParse(value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${locate(issue.path)}: ${issue.path.map(String).join(".") || "file"}: ${explainIssue(issue, value)}`,
    );
    throw new ConfigError(problems.join("\n"));
  }
  checkRows(file, parsed.data);
  const absolute = (relative: string) => path.resolve(path.dirname(file), relative);
  return {
    ...parsed.data,
    name: fileFolderName(file),
    path: file,
    config: absolute(parsed.data.config),
    suites: parsed.data.suites.map(absolute),
    rows: parsed.data.rows.map((row) => ({ ...row, suites: row.suites?.map(absolute) })),
  };
}

function checkRows(file: string, { rows, adaptation, search, order }: z.output<typeof experimentSchema>): void {
  const names = rows.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new ConfigError(`${file}: rows: expected every name once, found ${twice} again`);
  for (const { by, averages } of order) {
    const missing = Object.keys(averages).find((name) => !names.includes(name));
    if (missing !== undefined)
      throw new ConfigError(`${file}: order: ${by}: expected names of rows, found ${missing}${hint(missing, names)}`);
  }
  const known = adaptation.map(({ name }) => name);
  for (const { name, ...row } of rows) {
    const nowhere = row.reported.find(({ at }) => !pointsOf(row.vary).some((point) => isAt(point, at)));
    if (nowhere !== undefined)
      throw new ConfigError(
        `${file}: row ${name}: reported.at: expected settings of one of the row's points (vary), found ${JSON.stringify(nowhere.at)}`,
      );
    const unknown = row.adaptation?.find((wanted) => !known.includes(wanted));
    if (unknown !== undefined)
      throw new ConfigError(`${file}: row ${name}: adaptation: expected some of ${known.join(", ")}, found ${unknown}`);
    const tried = Object.values(row.search ?? {}).reduce((product, values) => product * values.length, 1);
    if (tried > search.budget)
      throw new ConfigError(
        `${file}: row ${name}: search: expected at most ${search.budget} combinations (search.budget), found ${tried}`,
      );
  }
}

function hint(name: string, names: readonly string[]): string {
  const guess = nearest(name, names);
  return guess === undefined ? "" : `. Did you mean ${guess}?`;
}
