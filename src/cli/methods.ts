/** `adamerge methods`: the merging methods without learning, their papers and their settings. */
import { z } from "zod";
import { ConfigError } from "../errors.js";
import type { MergeMethod } from "../merge/methods/method.js";
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
    const { nearest } = await import("../config/nearest.js");
    const method = name === undefined ? undefined : mergeMethods.get(name);
    if (name !== undefined && method === undefined) {
      const guess = nearest(name, mergeMethods.keys());
      throw new ConfigError(
        `methods: expected one of ${[...mergeMethods.keys()].join(", ")}, found ${name}${guess === undefined ? "" : `. Did you mean ${guess}?`}`,
      );
    }
    const shown = method === undefined ? [...mergeMethods.values()] : [method];
    if (json) printJson(io, shown.map(asData));
    else if (method === undefined) io.stdout.write(listText(shown));
    else io.stdout.write(methodText(method));
    return EXIT_OK;
  },
});

interface Setting {
  readonly name: string;
  readonly description: string;
  /** As JSON; undefined when the setting must be given. */
  readonly default: string | undefined;
}

function settingsOf({ parameters }: MergeMethod): Setting[] {
  const { properties = {}, required = [] } = z.toJSONSchema(parameters, { io: "input" });
  return Object.entries(properties).map(([name, schema]) => {
    const { description = "", default: value } = typeof schema === "object" ? schema : {};
    return { name, description, default: required.includes(name) ? undefined : JSON.stringify(value) };
  });
}

function asData(method: MergeMethod): object {
  const { name, title, paper, unit } = method;
  return { name, title, paper, unit, perTask: method.perTask === true, settings: settingsOf(method) };
}

function listText(methods: readonly MergeMethod[]): string {
  const rows = methods.map((method) => [
    method.name,
    method.title,
    settingsOf(method)
      .map(({ name, default: value }) => (value === undefined ? name : `${name}=${value}`))
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

function methodText(method: MergeMethod): string {
  const settings = settingsOf(method);
  const width = Math.max(0, ...settings.map(({ name }) => name.length));
  return [
    `${method.title} (${method.name})`,
    method.paper,
    ...(method.perTask === true ? ["Makes one model for each task: the task must be known at inference."] : []),
    ...settings.map(
      ({ name, description, default: value }) =>
        `  ${name.padEnd(width)}  ${description} (${value === undefined ? "must be given" : `default ${value}`})`,
    ),
    "",
  ].join("\n");
}
