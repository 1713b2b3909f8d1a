/**
 * `adamerge methods`: the training-free merging methods, their papers and their settings; after them those that merge files name under
 * `merge_method`.
 */
import { ConfigError } from "../errors.js";
import type { MethodDescription } from "../index.js";
import { nearest } from "../runtime/nearest.js";
import { EXIT_OK } from "./exit-codes.js";
import { printJson } from "./io.js";
import { defineVerb, jsonOption } from "./verb.js";

export const methodsVerb = defineVerb({
  name: "methods",
  group: "merge",
  usage: "[name]",
  describe: "List the training-free merging methods, or explain the settings of one",
  positionals: { name: { describe: "A method", type: "string" } },
  options: { json: jsonOption },
  examples: [
    ["methods", "All of them"],
    ["methods ties", "The settings of one"],
  ],
  async run({ name, json }, io) {
    const { BY_TENSOR } = await import("../library/methods.js");
    const all = await io.library.methods();
    const shown = name === undefined ? all : all.filter((method) => method.name === name);
    if (shown.length === 0) {
      const names = [...new Set(all.map((method) => method.name))];
      const guess = nearest(name ?? "", names);
      throw new ConfigError(
        `methods: expected one of ${names.join(", ")}, found ${name}${guess === undefined ? "" : `. Did you mean ${guess}?`}`,
      );
    }
    if (json) printJson(io, shown);
    else if (name === undefined) io.stdout.write(listText(shown, BY_TENSOR));
    else io.stdout.write(shown.map((method) => methodText(method, BY_TENSOR)).join("\n"));
    return EXIT_OK;
  },
});

function listText(methods: readonly MethodDescription[], byTensorUnit: string): string {
  const byTensor = methods.filter(({ unit }) => unit === byTensorUnit);
  const others = methods.filter(({ unit }) => unit !== byTensorUnit);
  return `${tableText(others)}\nIn merge files, under merge_method, by mergekit's definitions (${byTensorUnit}):\n\n${tableText(byTensor)}`;
}

function tableText(methods: readonly MethodDescription[]): string {
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

function methodText(
  { name, title, paper, unit, perTask, needsImages, settings }: MethodDescription,
  byTensorUnit: string,
): string {
  const width = Math.max(0, ...settings.map((setting) => setting.name.length));
  return [
    `${title} (${unit === byTensorUnit ? `merge_method: ${name}` : name})`,
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
