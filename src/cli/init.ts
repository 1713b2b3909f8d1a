/** `adamerge init`: writes suite.yaml and config.yaml for a person's own models and data, after looking at them. */
import path from "node:path";
import { ConfigError } from "../errors.js";
import type { InitFindings } from "../index.js";
import { EXIT_OK } from "./exit-codes.js";
import { familyFlags } from "./families.js";
import { type CliIo, printJson, tableText, workOptions } from "./io.js";
import { defineVerb, jsonOption, quietOption } from "./verb.js";

const many = { type: "string", array: true, requiresArg: true, default: [] as string[] } as const;
const DECIMALS = 1;

export const initVerb = defineVerb({
  name: "init",
  group: "start",
  usage: "[directory]",
  describe: "Write a suite and a config for your own models and data, after checking them",
  positionals: {
    directory: { describe: "Where suite.yaml and config.yaml are written", type: "string", default: "." },
  },
  options: {
    base: { describe: "The pretrained model: its folder, or org/name on the hub", type: "string", requiresArg: true },
    expert: {
      ...many,
      describe:
        "NAME=PATH of a fine-tuned model or LoRA adapter, or a folder of them; may be repeated; without any, one is fine-tuned on each labelled data set",
    },
    finetune: {
      ...many,
      describe: "Without experts: key=value for the fine-tuning of one on each labelled data set; may be repeated",
    },
    images: {
      ...many,
      describe: "NAME=PATH of an expert's images: a folder per class, a CSV (path,label), parquet, or without labels",
    },
    texts: {
      ...many,
      describe:
        "NAME=PATH of an expert's texts: CSV, TSV, JSON lines or parquet (text,label), a folder of .txt per class, or without labels",
    },
    data: { ...many, describe: "NAME=PATH of an expert's images or texts, whichever the base takes" },
    head: {
      ...many,
      describe:
        "NAME=PATH of an expert's classifier (safetensors or a state dict of PyTorch), or NAME=zero-shot: made of the classes' names; without: the classifier that the expert was saved with, or else class prototypes from the labels",
    },
    "text-model": {
      describe:
        "The model that embeds the names of classes for zero-shot heads, or org/name on the hub (default: the base)",
      type: "string",
      requiresArg: true,
    },
    classes: { ...many, describe: "NAME=PATH of a text file: a class a line, in the order of the head's rows" },
    preset: {
      describe: "Settings that the config begins from: what learned best of what was measured, or the paper's",
      choices: ["adamerge", "paper"] as const,
      default: "adamerge" as const,
    },
    name: { describe: "Name of the suite (default: the directory's)", type: "string", requiresArg: true },
    force: { describe: "Replace files that are there", type: "boolean", default: false },
    "dry-run": { describe: "Look and check, and write nothing but the cache", type: "boolean", default: false },
    quiet: quietOption,
    json: jsonOption,
  },
  examples: [
    ["init --base base --expert pets=pets --expert cars=cars --images pets=photos/pets --images cars=cars.csv", "Two"],
    [
      "init --base base --expert mood=mood --expert topic=topic --texts mood=mood.csv --texts topic=topic.csv",
      "Of texts",
    ],
    ["init --base base --texts mood=mood.csv --texts topic=topic.csv --finetune epochs=5", "Fine-tunes the experts"],
    ["init --base base --expert experts --images photos --dry-run", "Folders with a folder per expert; only look"],
  ],
  async run(args, io) {
    const { force, "text-model": textModel, "dry-run": dryRun, quiet, json } = args;
    const directory = path.resolve(io.cwd, args.directory);
    if (args.base === undefined)
      throw new ConfigError("init: expected --base PATH, the model that the experts were fine-tuned from, found none");
    const { base, expert, images, texts, data, head, classes, preset, name, finetune } = args;
    const models = { base, experts: expert, finetune, heads: head, classes, textModel };
    const findings = await io.library.init(args.directory, {
      ...workOptions(io, { quiet }),
      ...models,
      ...{ images, texts, data, preset, name, force, dryRun },
    });
    if (json) printJson(io, forJson(findings, directory));
    else if (quiet) io.stdout.write(`${path.join(directory, "config.yaml")}\n`);
    else io.stdout.write(`${(await report(findings, directory, dryRun, io)).join("\n")}\n`);
    if (!json) for (const warning of findings.warnings) io.stderr.write(`warning: ${warning}\n`);
    return EXIT_OK;
  },
});

async function report(
  { experts, examples, heads, assumed, plan, files }: InitFindings,
  directory: string,
  dryRun: boolean,
  io: CliIo,
): Promise<string[]> {
  const percent = (value: number | undefined) => (value === undefined ? "-" : value.toFixed(DECIMALS));
  const models = experts.map(({ name, tensors, equal, fromBase, distance, accuracyPercent: accuracy }) => [
    name,
    String(tensors - equal - fromBase),
    String(equal),
    String(fromBase),
    distance.toFixed(3),
    percent(accuracy?.expert),
    percent(accuracy?.base),
  ]);
  const data = examples.map(({ name, classes, counts }, index) => [
    name,
    classes === undefined ? "-" : String(classes.length),
    headText(heads[index]?.head),
    ...(["head", "adapt", "val", "test"] as const).map((split) => String(counts.get(split) ?? "-")),
  ]);
  const modelHeading = ["expert", "tensors changed", "as base", "lacking", "distance", "accuracy %", "base %"];
  const families = (await familyFlags(io)).map((word) => ` ${word}`).join("");
  const where = (name: string) => path.relative(io.cwd, path.join(directory, name)) || name;
  return [
    tableText([modelHeading, ...models], io),
    "",
    tableText(
      [[`${examples[0]?.kind ?? "example"}s`, "classes", "head", "for head", "adapt", "val", "test"], ...data],
      io,
    ),
    "",
    "assumed:",
    ...groupedLines(assumed, experts.length).map((line) => `  ${line}`),
    "",
    ...(await io.library.planLines(plan)),
    "",
    `${dryRun ? "would write" : "wrote"} ${files.map(where).join(", ")}`,
    ...(dryRun ? [] : [`next: adamerge fit ${where("config.yaml")}${families}`]),
  ];
}

function headText(head: InitFindings["heads"][number]["head"] | undefined): string {
  if (typeof head === "string") return "file";
  if (head !== undefined && "classifier" in head) return "classifier";
  return head !== undefined && "zero_shot" in head ? "zero-shot" : "prototypes";
}

/** `name: sentence` lines, a sentence once with all its names. */
function groupedLines(lines: readonly string[], experts: number): readonly string[] {
  const names = new Map<string, string[]>();
  for (const line of lines) {
    const end = line.indexOf(": ");
    const sentence = line.slice(end + 2);
    names.set(sentence, [...(names.get(sentence) ?? []), line.slice(0, end)]);
  }
  return [...names].map(
    ([sentence, of]) => `${of.length > 1 && of.length === experts ? "all" : of.join(", ")}: ${sentence}`,
  );
}

/** Without the rows of manifests, counts as objects, and null for what is not known. */
function forJson({ examples, experts, ...rest }: InitFindings, directory: string): object {
  const described = examples.map(({ manifest: _, splits, counts, classes, ...source }) => ({
    ...source,
    classes: classes ?? null,
    splits: splits === undefined ? null : Object.fromEntries(splits),
    counts: Object.fromEntries(counts),
  }));
  return {
    directory,
    ...rest,
    experts: experts.map((expert) => ({ ...expert, accuracyPercent: expert.accuracyPercent ?? null })),
    // Of images also under the name that they had before there were texts.
    ...(examples.some(({ kind }) => kind === "image") ? { images: described } : {}),
    examples: described,
  };
}
