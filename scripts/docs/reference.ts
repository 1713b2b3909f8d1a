/**
 * The reference pages of docs/reference, from what the program itself reads: the schema of configs, the registry of methods, the help texts.
 * `npm run docs:reference` writes them; a test says when they are out of date.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { z } from "zod";
import { finetuneJsonSchema } from "../../src/config/finetune.js";
import { configJsonSchema } from "../../src/config/keys.js";
import { BY_TENSOR, type MethodDescription, methods } from "../../src/library/methods.js";

type JsonSchema = z.core.JSONSchema.JSONSchema;

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, "..", "..", "dist", "cli", "main.js");

const MADE = "<!-- Made by `npm run docs:reference`; edit what it is made from. -->";

/** File name in docs/reference to text. */
export async function referencePages(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ["config.md", configPage()],
    ["finetune.md", finetunePage()],
    ["methods.md", methodsPage()],
    ["command-line.md", await commandLinePage()],
  ]);
}

function configPage(): string {
  const rows = settingRows(configJsonSchema());
  return page("Configuration keys", [
    "Every key of a config file. `adamerge config show CONFIG` prints them with the values of a config. [Configuration](../configuration.md)",
    "says which matter.",
    "",
    ...table(["key", "default", "meaning"], rows),
  ]);
}

function finetunePage(): string {
  return page("Settings of a fine-tuning", [
    "`adamerge finetune BASE DATA key=value ...`. [Fine-tuning](../finetune.md) says which matter.",
    "",
    ...table(["key", "default", "meaning"], settingRows(finetuneJsonSchema())),
  ]);
}

/** Sections are headings of their keys: the dotted path says where a key belongs. */
function settingRows(schema: JsonSchema, prefix = ""): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    if (typeof property === "boolean") return [];
    const path = prefix + name;
    if (property.properties !== undefined) return settingRows(property, `${path}.`);
    const values = valuesOf(property);
    const meaning = `${property.description ?? ""}${values === "" ? "" : ` (${values})`}`;
    return [[`\`${path}\``, defaultOf(property), meaning]];
  });
}

function valuesOf({ enum: values, minimum, maximum }: JsonSchema): string {
  if (values !== undefined) return values.map((value) => `\`${value}\``).join(", ");
  const isBound = (bound: number | undefined): bound is number =>
    bound !== undefined && Math.abs(bound) < Number.MAX_SAFE_INTEGER;
  if (isBound(minimum) && isBound(maximum)) return `${minimum} to ${maximum}`;
  return isBound(minimum) ? `at least ${minimum}` : isBound(maximum) ? `at most ${maximum}` : "";
}

function defaultOf({ default: value }: JsonSchema): string {
  return value === undefined ? "" : `\`${JSON.stringify(value)}\``;
}

function methodsPage(): string {
  const all = methods();
  const byPaper = all.filter(({ unit }) => unit !== BY_TENSOR);
  const byTensor = all.filter(({ unit }) => unit === BY_TENSOR);
  return page("Training-free methods", [
    "`adamerge eval CONFIG --method NAME --set key=value` judges one; `method: NAME` of a [merge file](../merge-files.md) merges by it.",
    "",
    ...byPaper.flatMap(methodLines),
    "## By mergekit's definitions",
    "",
    "`merge_method: NAME` of a merge file: each tensor by itself.",
    "",
    ...byTensor.flatMap((method) => methodLines(method).map((line) => line.replace(/^## /, "### "))),
  ]);
}

function methodLines({ name, title, paper, perTask, needsImages, settings }: MethodDescription): string[] {
  const needs = [
    ...(needsImages ? ["It looks at unlabelled examples."] : []),
    ...(perTask ? ["It makes one model for each task: the task must be known at inference."] : []),
  ];
  const source = paper === "" ? "" : `[Paper](${paper}). `;
  const rows = settings.map((setting) => [
    `\`${setting.name}\``,
    setting.default === undefined ? "must be given" : `\`${setting.default}\``,
    setting.description,
  ]);
  return [
    `## ${name}`,
    "",
    `${title}. ${source}${needs.join(" ")}`.trim(),
    "",
    ...(rows.length === 0 ? [] : [...table(["setting", "default", "meaning"], rows), ""]),
  ];
}

async function commandLinePage(): Promise<string> {
  const whole = await helpOf([]);
  // The verbs stand in groups before the options; the script of the shell has no help of its own.
  const groups = whole.slice(0, whole.indexOf("\nOptions:"));
  const verbs = [...groups.matchAll(/^ {2}([a-z-]+(?: [a-z]+)?) {2,}\S/gm)].map(([, verb = ""]) => verb);
  const named = verbs.filter((verb) => verb !== "completion").map((verb) => verb.split(" "));
  const sections = await Promise.all(
    named.map(async (verb) => [`## adamerge ${verb.join(" ")}`, "", ...fenced(await helpOf(verb))]),
  );
  const first = ["What `adamerge --help` and `adamerge VERB --help` print.", "", ...fenced(whole)];
  return page("Command line", [...first, ...sections.flat()]);
}

/** As the built command prints it. */
async function helpOf(verb: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [MAIN, ...verb, "--help"]);
  return stdout;
}

function fenced(text: string): string[] {
  return ["```text", text.trimEnd(), "```", ""];
}

function page(title: string, lines: readonly string[]): string {
  return `${[`# ${title}`, "", MADE, "", ...lines].join("\n").trimEnd()}\n`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)];
}
