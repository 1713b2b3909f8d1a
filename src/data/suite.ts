/**
 * A suite: a base checkpoint, and per task an expert, a head and a data set, described by one `suite.yaml`. Reads and
 * checks the description; opens none of what it names. Paths in it are relative to the file; models and data sets may be named as
 * repositories on the Hugging Face hub instead (`org/name@revision`), which run/resolve-suite.ts brings into its cache.
 */
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { isNode, LineCounter, parseDocument, visit } from "yaml";
import { z } from "zod";
import { formatUri, HUB_SCHEME, parseReference, parseUri, type RepositoryType } from "../checkpoint/hub/reference.js";
import { explainIssue } from "../config/issues.js";
import { nearest } from "../config/nearest.js";
import { ConfigError, DataError } from "../errors.js";

const name = z.string().regex(/^[a-z0-9][a-z0-9-]*$/, "a name of small letters, digits and dashes");
const text = z.string().min(1);
const split = z.string().regex(/^\w[\w.-]*$/, "a split name of letters, digits, _, - and .");

const datasetSchema = z.strictObject({
  path: text.describe("Directory of the data set, or org/name on the hub"),
  config: text.optional().describe("Which of its configs, if it has several"),
  splits: z
    .partialRecord(split, split)
    .optional()
    .describe("Its own names of splits, by the names that runs use: {adapt: train, val: train, test: test}"),
  image_column: text.optional().describe("Column of the images, if not found by itself"),
  label_column: text.optional().describe("Column of the labels, if not found by itself"),
});

const prototypesSchema = z.strictObject({
  split: split.describe("Split whose labelled images make the head; judge on another"),
  model: z
    .enum(["expert", "base"])
    .default("expert")
    .describe("Whose features: the task's expert (more accurate), or the base"),
});

/** Heads that are made instead of read; see run/prototype-heads.ts. */
const headSchema = z.strictObject({ prototypes: prototypesSchema });

const taskSchema = z.strictObject({
  name: name.describe("Names the task in configs, reports and file names"),
  title: text.optional().describe("Shown to people; the name if absent"),
  dataset: z
    .union([text, datasetSchema], "a path or a section with path")
    .describe("Directory of the data set, or org/name on the hub; or a section with path, config, splits"),
  expert: text.describe("Checkpoint fine-tuned on this task or LoRA adapter, or org/name on the hub"),
  head: z
    .union([text, headSchema], "a path or a section with prototypes")
    .describe(
      "File of the task's frozen classifier (safetensors or PyTorch), or a section: prototypes from labelled images",
    ),
  classes: z.array(text).min(2).describe("Class names in the order of the head's rows"),
  licence: text.optional().describe("Licence of the data (SPDX identifier where there is one)"),
  source: text.optional().describe("Where the data comes from"),
});

const splitsSchema = z.strictObject({
  adapt: split.default("adapt").describe("Split whose images the coefficients are learned on"),
  val: split.default("val").describe("Split for choosing hyperparameters"),
  test: split.default("test").describe("Split for the final numbers"),
});

export const suiteSchema = z.strictObject({
  name: name.describe("Names the suite in reports"),
  title: text.optional().describe("Shown to people; the name if absent"),
  base: text.describe("Directory of the pretrained checkpoint, or org/name on the hub"),
  multitask: text.optional().describe("Directory of a model trained on all tasks, a reference row of the tables"),
  logit_scale: z.number().positive().optional().describe("Logit scale of heads that do not carry their own"),
  tasks: z.array(taskSchema).min(1).describe("In the order in which tasks appear everywhere"),
  splits: splitsSchema.prefault({}).describe("Names of the data sets' splits"),
});

export interface SuiteTask {
  readonly name: string;
  readonly title: string;
  /** Absolute paths; data set and expert may be `hf://` URIs until run/resolve-suite.ts has resolved them. */
  readonly dataset: string;
  readonly expert: string;
  /** A file, or how the head is made. */
  readonly head: string | HeadRecipe;
  /** In the order of the head's rows. */
  readonly classes: readonly string[];
  readonly licence: string | undefined;
  readonly source: string | undefined;
  /** How the data set is read, if suite.yaml says more than where it is. */
  readonly reading?: DatasetReading;
}

export type PrototypesRecipe = z.output<typeof prototypesSchema>;
export type HeadRecipe = z.output<typeof headSchema>;

export interface DatasetReading {
  /** The data set's name of a split by the name that runs use; the same where there is none. */
  readonly splits: ReadonlyMap<string, string>;
  /** Of the reader: config, image_column, label_column. */
  readonly parameters: Readonly<Record<string, string>>;
}

export interface Suite {
  readonly name: string;
  readonly title: string;
  /** Absolute path of the suite.yaml. */
  readonly path: string;
  /** Absolute path of the base checkpoint, or `hf://` URI until it is resolved. */
  readonly base: string;
  /** Absolute path of the model trained on all tasks, or `hf://` URI until it is resolved. */
  readonly multitask: string | undefined;
  readonly logitScale: number | undefined;
  readonly tasks: readonly SuiteTask[];
  readonly splits: { readonly adapt: string; readonly val: string; readonly test: string };
}

interface ParsedYaml {
  readonly value: unknown;
  /** `file:line` of the value at a key path, or of its nearest parent. */
  locate(path: readonly PropertyKey[]): string;
}

/**
 * Reads a suite from its directory or its suite.yaml. Throws ConfigError with every mistake in the description, each with
 * line and key, and DataError with every path in it that does not exist.
 */
export async function openSuite(path: string): Promise<Suite> {
  const file = await findSuiteFile(resolve(path));
  const yaml = parseYaml(await readFile(file, "utf8"), file);
  const parsed = suiteSchema.safeParse(yaml.value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => explainAt(issue, yaml));
    throw new ConfigError(problems.join("\n"));
  }
  checkUnique(parsed.data.tasks, yaml);
  const { base, multitask, logit_scale, tasks, splits } = parsed.data;
  const absolute = (relative: string) => resolve(dirname(file), relative);
  const locate = (text: string, type: RepositoryType) => locateOnHub(text, type, dirname(file));
  const suite: Suite = {
    name: parsed.data.name,
    title: parsed.data.title ?? parsed.data.name,
    path: file,
    base: await locate(base, "model"),
    multitask: multitask === undefined ? undefined : await locate(multitask, "model"),
    logitScale: logit_scale,
    tasks: await Promise.all(
      tasks.map(async (task) => ({
        name: task.name,
        title: task.title ?? task.name,
        dataset: await locate(typeof task.dataset === "string" ? task.dataset : task.dataset.path, "dataset"),
        expert: await locate(task.expert, "model"),
        head: typeof task.head === "string" ? absolute(task.head) : task.head,
        classes: task.classes,
        licence: task.licence,
        source: task.source,
        ...(typeof task.dataset === "string" ? {} : { reading: readingOf(task.dataset) }),
      })),
    ),
    splits,
  };
  await checkPaths(suite, yaml);
  return suite;
}

/** The split, as runs call it, that a task's head is made from. */
export function headSplit({ head }: Pick<SuiteTask, "head">): string | undefined {
  return typeof head === "string" ? undefined : head.prototypes.split;
}

/** The data set's own name of a split that runs call `split`. */
export function ownSplit({ reading }: Pick<SuiteTask, "reading">, split: string): string {
  return reading?.splits.get(split) ?? split;
}

/**
 * The absolute path, or the URI of a repository on the hub. What exists is a path, and so is what lies in a folder that exists: a
 * missing file of the suite is not looked for on the hub, unless `hf://` says that it is there.
 */
async function locateOnHub(text: string, type: RepositoryType, folder: string): Promise<string> {
  const path = resolve(folder, text);
  const reference = parseReference(text, type);
  if (reference === undefined) return path;
  const isPath = (await kindOf(path)) !== undefined || (await kindOf(dirname(path))) !== undefined;
  return isPath && !text.startsWith(HUB_SCHEME) ? path : formatUri(reference);
}

function readingOf({ splits, config, image_column, label_column }: z.infer<typeof datasetSchema>): DatasetReading {
  const parameters = Object.entries({ config, image_column, label_column }).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, value] as const],
  );
  const named = Object.entries(splits ?? {}).flatMap(([name, own]) =>
    own === undefined ? [] : [[name, own] as const],
  );
  return { splits: new Map(named), parameters: Object.fromEntries(parameters) };
}

async function findSuiteFile(path: string): Promise<string> {
  const kind = await kindOf(path);
  const file = kind === "folder" ? join(path, "suite.yaml") : path;
  if (kind !== undefined && (await kindOf(file)) === "file") return file;
  const found = kind === "folder" ? "a directory without suite.yaml" : "nothing there";
  throw new DataError(
    `${path}: expected the directory of a suite (with a suite.yaml), found ${found}; check the suite's path`,
  );
}

function parseYaml(source: string, file: string): ParsedYaml {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, version: "1.2" });
  const problems = [...document.errors, ...document.warnings].map(
    (problem) => `${file}:${lines.linePos(problem.pos[0]).line}: not valid YAML: ${problem.message}`,
  );
  // Aliases can expand a few hundred bytes to gigabytes.
  visit(document, {
    Alias: (_, alias) => void problems.push(`${file}: alias *${alias.source}: write the value out instead`),
  });
  if (problems.length > 0) throw new ConfigError(problems.join("\n"));
  const locate = (path: readonly PropertyKey[]) => {
    for (let depth = path.length; depth >= 0; depth--) {
      const node = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true);
      if (isNode(node) && node.range != null) return `${file}:${lines.linePos(node.range[0]).line}`;
    }
    return file;
  };
  return { value: document.toJS(), locate };
}

function explainAt(issue: z.core.$ZodIssue, yaml: ParsedYaml): string {
  const key = issue.path.map(String).join(".");
  const isClass = issue.code === "invalid_type" && issue.path.at(-2) === "classes";
  const advice = isClass ? '; write it in quotes, as in "0"' : unknownKeyAdvice(issue);
  // The line of an unknown key is that of the key itself, which is not in the path.
  const place = issue.code === "unrecognized_keys" ? [...issue.path, ...issue.keys.slice(0, 1)] : issue.path;
  return `${yaml.locate(place)}: ${key === "" ? "" : `${key}: `}${explainIssue(issue, yaml.value)}${advice}`;
}

function unknownKeyAdvice(issue: z.core.$ZodIssue): string {
  if (issue.code !== "unrecognized_keys") return "";
  const schema = issue.path[0] === "tasks" ? taskSchema : issue.path[0] === "splits" ? splitsSchema : suiteSchema;
  const known = Object.keys(schema.shape);
  const guess = nearest(issue.keys[0] ?? "", known);
  return guess === undefined ? `; known here: ${known.join(", ")}` : `; did you mean \`${guess}\`?`;
}

function checkUnique(tasks: readonly z.infer<typeof taskSchema>[], yaml: ParsedYaml): void {
  const names = new Map<string, number>();
  for (const [index, task] of tasks.entries()) {
    const first = names.get(task.name);
    if (first !== undefined)
      throw new ConfigError(
        `${yaml.locate(["tasks", index, "name"])}: tasks.${index}.name: expected a name of its own, found ${task.name}, the name of tasks.${first} too`,
      );
    names.set(task.name, index);
    const classes = task.classes.findIndex((name, position) => task.classes.indexOf(name) !== position);
    if (classes >= 0)
      throw new ConfigError(
        `${yaml.locate(["tasks", index, "classes", classes])}: tasks.${index}.classes.${classes}: expected every class once, found ${task.classes[classes]} again`,
      );
  }
}

async function checkPaths(suite: Suite, yaml: ParsedYaml): Promise<void> {
  const wanted = [
    { key: ["base"], path: suite.base, kinds: ["folder", "file"], what: "a checkpoint" },
    ...(suite.multitask === undefined
      ? []
      : [{ key: ["multitask"], path: suite.multitask, kinds: ["folder", "file"], what: "a checkpoint" }]),
    ...suite.tasks.flatMap((task, index) => [
      { key: ["tasks", index, "dataset"], path: task.dataset, kinds: ["folder"], what: "the directory of a data set" },
      { key: ["tasks", index, "expert"], path: task.expert, kinds: ["folder", "file"], what: "a checkpoint" },
      ...(typeof task.head === "string"
        ? [{ key: ["tasks", index, "head"], path: task.head, kinds: ["file"], what: "the file of a head" }]
        : []),
    ]),
  ];
  const problems: string[] = [];
  for (const { key, path, kinds, what } of wanted) {
    const kind = await kindOf(path);
    if (parseUri(path) !== undefined || (kind !== undefined && kinds.includes(kind))) continue;
    const found = kind === undefined ? "nothing" : `a ${kind}`;
    problems.push(
      `${yaml.locate(key)}: ${key.join(".")}: expected ${what}, found ${found} at ${path}${hubAdvice(suite, path, what)}`,
    );
  }
  if (problems.length === 0) return;
  const advice = `check the paths (they are relative to ${basename(suite.path)}) or build or download the suite`;
  throw new DataError(`${problems.join("\n")}\n${advice}`);
}

/** What would have made a missing path a repository on the hub, if its form can be one. */
function hubAdvice(suite: Suite, path: string, what: string): string {
  const text = relative(dirname(suite.path), path).replaceAll(sep, "/");
  const reference = parseReference(text, what.includes("data set") ? "dataset" : "model");
  if (reference === undefined || what.includes("head")) return "";
  return ` (a path, since its folder is there; for the repository on the hub write ${formatUri(reference)})`;
}

async function kindOf(path: string): Promise<"folder" | "file" | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  return found.isDirectory() ? "folder" : "file";
}
