/**
 * `adamerge methods`: the merging methods without learning, their papers and their settings; after them those that merge files name under
 * `merge_method`.
 */
import { z } from "zod";
import { ConfigError } from "../errors.js";
import type { MergeMethod } from "../merge/methods/method.js";
import type { TensorMethod } from "../merge/per-tensor/tensor-method.js";
import { EXIT_OK } from "./exit-codes.js";
import { printJson } from "./io.js";
import { defineVerb, jsonOption } from "./verb.js";

export const methodsVerb = defineVerb({
  name: "methods",
  usage: "[name]",
  describe: "List the merging methods without learning, or explain the settings of one",
  positionals: { name: { describe: "A method", type: "string" } },
  options: { json: jsonOption },
  examples: [
    ["methods", "All of them"],
    ["methods ties", "The settings of one"],
  ],
  async run({ name, json }, io) {
    const { mergeMethods } = await import("../merge/methods/registry.js");
    const { tensorMethods } = await import("../merge/per-tensor/registry.js");
    const { nearest } = await import("../config/nearest.js");
    const all = [...[...mergeMethods.values()].map(described), ...[...tensorMethods.values()].map(describedByTensor)];
    const shown = name === undefined ? all : all.filter((method) => method.name === name);
    if (shown.length === 0) {
      const names = [...new Set(all.map((method) => method.name))];
      const guess = nearest(name ?? "", names);
      throw new ConfigError(
        `methods: expected one of ${names.join(", ")}, found ${name}${guess === undefined ? "" : `. Did you mean ${guess}?`}`,
      );
    }
    if (json) printJson(io, shown);
    else if (name === undefined) io.stdout.write(listText(shown));
    else io.stdout.write(shown.map(methodText).join("\n"));
    return EXIT_OK;
  },
});

/** A method as it is shown, and as --json prints it. */
interface Described {
  readonly name: string;
  readonly title: string;
  readonly paper: string;
  /** What it sees at once: any run of elements, or whole tensors; of merge files' methods each tensor is merged by itself. */
  readonly unit: string;
  readonly perTask: boolean;
  readonly needsImages: boolean;
  readonly settings: readonly Setting[];
}

interface Setting {
  readonly name: string;
  readonly description: string;
  /** As JSON; undefined when the setting must be given. */
  readonly default: string | undefined;
}

function described({ name, title, paper, unit, perTask, needsImages, parameters }: MergeMethod): Described {
  const needs = { perTask: perTask === true, needsImages: needsImages === true };
  return { name, title, paper, unit, ...needs, settings: settingsOf(parameters) };
}

const BY_TENSOR = "each tensor by itself";

function describedByTensor({ name, title, paper, perModel, shared }: TensorMethod): Described {
  const settings = [...settingsOf(perModel), ...settingsOf(shared)];
  return { name, title, paper, unit: BY_TENSOR, perTask: false, needsImages: false, settings };
}

function settingsOf(schema: z.ZodObject): Setting[] {
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: "input" });
  return Object.entries(properties).map(([name, property]) => {
    const { description = "", default: value } = typeof property === "object" ? property : {};
    return { name, description, default: required.includes(name) ? undefined : JSON.stringify(value) };
  });
}

function listText(methods: readonly Described[]): string {
  const byTensor = methods.filter(({ unit }) => unit === BY_TENSOR);
  const others = methods.filter(({ unit }) => unit !== BY_TENSOR);
  return `${tableText(others)}\nIn merge files, under merge_method, by mergekit's definitions (${BY_TENSOR}):\n\n${tableText(byTensor)}`;
}

function tableText(methods: readonly Described[]): string {
  const rows = methods.map(({ name, title, settings }) => [
    name,
    title,
    settings
      .map((setting) => (setting.default === undefined ? setting.name : `${setting.name}=${setting.default}`))
      .join(" "),
  ]);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(([name = "", title = "", settings = ""]) =>
      `${name.padEnd(widths[0] ?? 0)}  ${title.padEnd(widths[1] ?? 0)}  ${settings}`.trimEnd(),
    )
    .concat("")
    .join("\n");
}

function methodText({ name, title, paper, unit, perTask, needsImages, settings }: Described): string {
  const width = Math.max(0, ...settings.map((setting) => setting.name.length));
  return [
    `${title} (${unit === BY_TENSOR ? `merge_method: ${name}` : name})`,
    paper,
    ...(perTask ? ["Makes one model for each task: the task must be known at inference."] : []),
    ...(needsImages ? ["Looks at unlabelled examples of every task: those of data.adapt_split."] : []),
    ...settings.map(
      (setting) =>
        `  ${setting.name.padEnd(width)}  ${setting.description} (${setting.default === undefined ? "must be given" : `default ${setting.default}`})`,
    ),
    "",
  ].join("\n");
}
