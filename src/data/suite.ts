/**
 * A suite: a base checkpoint, and per task an expert, a head and a data set, described by one `suite.yaml`. Reads and
 * checks the description; opens none of what it names. Paths in it are relative to the file; models and data sets may be named as
 * repositories on the Hugging Face hub instead (`org/name@revision`), which run/suite/suite-sources.ts brings into its cache.
 */
import { basename, dirname, resolve } from "node:path";
import { parseUri, type RepositoryType } from "../checkpoint/hub/reference.js";
import { leftOut } from "../config/shipped-files.js";
import { type LocatedYaml, readYamlFile } from "../config/strict-yaml.js";
import { ConfigError, DataError } from "../errors.js";
import { isThere } from "../runtime/is-there.js";
import type { LabelMeaning } from "./classes.js";
import { type HeadRecipe, prototypesOf, zeroShotOf } from "./head-recipes.js";
import type { ExifOrientation } from "./image/decode-image.js";
import type { SplitPart } from "./split-part.js";
import { checkedYaml } from "./suite-issues.js";
import { checkPaths, findSuiteFile, locateOnHub, type WantedPath } from "./suite-paths.js";
import {
  type DatasetDescription,
  type FeaturesDescription,
  suiteSchema,
  type TaskDescription,
} from "./suite-schema.js";
import { type WholeTask, wholeTask } from "./task-definition.js";

/** One task of a suite: its expert, its data set, its classes and its head. */
export interface SuiteTask {
  readonly name: string;
  readonly title: string;
  /** Absolute paths; data set and expert may be `hf://` URIs until run/suite/suite-sources.ts has resolved them. */
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
  /** Examples of the data set's own splits, where the suite says how many there are. */
  readonly examples?: ReadonlyMap<string, number>;
}

/** What suite.yaml says of a data set besides where it is. */
export interface DatasetReading {
  /** The data set's own split by the name that runs use; the same name where there is none. */
  readonly splits: ReadonlyMap<string, OwnSplit>;
  /** Of the reader: config, image_column, text_column, pair_column, label_column. */
  readonly parameters: Readonly<Record<string, string>>;
  /** What says which class a label means. */
  readonly labels: LabelMeaning;
  /** Whether images are turned as their EXIF orientation says; they are if absent. */
  readonly exifOrientation?: ExifOrientation;
}

/** A split of a data set as it calls it, whole or in part. */
export interface OwnSplit {
  readonly name: string;
  readonly part?: SplitPart;
}

/** What heads read of an encoder's output, as suite.yaml says it. */
export interface SuiteFeatures {
  readonly pooling: FeaturesDescription["pooling"];
  readonly normalized: boolean;
}

/** A suite as read: its models, tasks and data, with every path absolute. `openSuite` reads one. */
export interface Suite {
  readonly name: string;
  readonly title: string;
  /** Absolute path of the suite.yaml. */
  readonly path: string;
  /** Absolute paths of the definitions of its tasks, each once. */
  readonly definitions: readonly string[];
  /** Absolute path of the base checkpoint, or `hf://` URI until it is resolved. */
  readonly base: string;
  /** Absolute path of the model trained on all tasks, or `hf://` URI until it is resolved. */
  readonly multitask: string | undefined;
  /** Absolute path of the model with the text tower, or `hf://` URI until it is resolved; undefined: the base. */
  readonly textModel: string | undefined;
  readonly logitScale: number | undefined;
  /** What heads read of the encoder's output, where suite.yaml says it: a FeatureChoice of model/family.ts. */
  readonly features?: SuiteFeatures;
  /** Tokens that texts are cut at. */
  readonly maxLength?: number;
  readonly tasks: readonly SuiteTask[];
  readonly splits: { readonly adapt: string; readonly val: string; readonly test: string };
}

/**
 * Reads a suite from its directory or its suite.yaml, and the definitions of its tasks. Throws ConfigError with every mistake in a file, each with
 * line and key, and DataError with every path in it that does not exist.
 */
export async function openSuite(path: string): Promise<Suite> {
  const file = await findSuiteFile(resolve(path));
  const yaml = await readYamlFile(file, "a suite");
  const { base, multitask, text_model, logit_scale, features, max_length, tasks, splits, ...own } = checkedYaml(
    suiteSchema,
    yaml,
  );
  checkNames(tasks, yaml);
  const whole = await Promise.all(tasks.map((task, index) => wholeTask(task, index, yaml, file)));
  for (const task of whole) checkClasses(task);
  const locate = (text: string, type: RepositoryType) => locateOnHub(text, type, dirname(file));
  const suite: Suite = {
    name: own.name,
    title: own.title ?? own.name,
    path: file,
    definitions: [...new Set(whole.flatMap(({ definition }) => definition ?? []))],
    base: await locate(base, "model"),
    multitask: multitask === undefined ? undefined : await locate(multitask, "model"),
    textModel: text_model === undefined ? undefined : await locate(text_model, "model"),
    logitScale: logit_scale,
    ...(features === undefined ? {} : { features: { pooling: features.pooling, normalized: features.normalize } }),
    ...(max_length === undefined ? {} : { maxLength: max_length }),
    tasks: await Promise.all(whole.map((task) => suiteTask(task, locate))),
    splits,
  };
  await checkPaths(wantedPaths(suite, whole, yaml), basename(file));
  return suite;
}

/** The suite's model trained on all tasks at once. Throws DataError when it has none, or when nothing lies where it is said to be. */
export async function multitaskOf({ path, multitask }: Pick<Suite, "path" | "multitask">): Promise<string> {
  if (multitask !== undefined && (parseUri(multitask) !== undefined || (await isThere(multitask)))) return multitask;
  const found = multitask === undefined ? "none" : `nothing at ${multitask}`;
  const advice = multitask === undefined ? "" : leftOut(multitask);
  throw new DataError(
    `${path}: multitask: expected the directory of a multi-task model, found ${found}; the method multi_task needs it${advice}`,
  );
}

/** The split, as runs call it, that a task's head is made from. */
export function headSplit({ head }: Pick<SuiteTask, "head">): string | undefined {
  return prototypesOf(head)?.split;
}

/** The data set's own split that runs call `split`. */
export function ownSplit({ reading }: Pick<SuiteTask, "reading">, split: string): OwnSplit {
  return reading?.splits.get(split) ?? { name: split };
}

async function suiteTask(
  task: WholeTask,
  locate: (text: string, type: RepositoryType) => Promise<string>,
): Promise<SuiteTask> {
  const { dataset, head, examples } = task;
  const datasetPath = typeof dataset === "string" ? dataset : dataset.path;
  return {
    name: task.name,
    title: task.title ?? task.name,
    dataset: await locateOnHub(datasetPath, "dataset", task.folderOf("dataset")),
    expert: await locate(task.expert, "model"),
    head: typeof head === "string" ? resolve(task.folderOf("head"), head) : head,
    classes: task.classes,
    licence: task.licence,
    source: task.source,
    ...(typeof dataset === "string" ? {} : { reading: readingOf(dataset) }),
    ...(examples === undefined ? {} : { examples: new Map(entriesOf(examples)) }),
  };
}

function readingOf({
  splits,
  config,
  image_column,
  text_column,
  pair_column,
  label_column,
  labels,
  exif_orientation,
}: DatasetDescription): DatasetReading {
  const parameters = Object.fromEntries(entriesOf({ config, image_column, text_column, pair_column, label_column }));
  const named = entriesOf(splits ?? {}).map(([name, own]): [string, OwnSplit] => {
    if (typeof own === "string") return [name, { name: own }];
    const { of, every, except_every } = own;
    const part = every === undefined ? { except: true, every: except_every ?? 0 } : { except: false, every };
    return [name, { name: of, part }];
  });
  const turning = exif_orientation === undefined ? {} : { exifOrientation: exif_orientation };
  return { splits: new Map(named), parameters, labels, ...turning };
}

/** What is there of a section with optional keys. */
function entriesOf<Value>(section: Readonly<Record<string, Value | undefined>>): [string, Value][] {
  return Object.entries(section).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]));
}

function checkNames(tasks: readonly TaskDescription[], yaml: LocatedYaml): void {
  const names = new Map<string, number>();
  for (const [index, task] of tasks.entries()) {
    const first = names.get(task.name);
    if (first !== undefined)
      throw new ConfigError(
        `${yaml.locate(["tasks", index, "name"])}: tasks.${index}.name: expected a name of its own, found ${task.name}, the name of tasks.${first} too`,
      );
    names.set(task.name, index);
  }
}

/** Every class is there once, and has one name in prompts. */
function checkClasses({ head, classes, place }: WholeTask): void {
  const again = classes.findIndex((name, position) => classes.indexOf(name) !== position);
  if (again >= 0)
    throw new ConfigError(`${place(["classes", again])}: expected every class once, found ${classes[again]} again`);
  const names = zeroShotOf(head)?.names;
  if (names !== undefined && names.length !== classes.length)
    throw new ConfigError(
      `${place(["head", "zero_shot", "names"])}: expected a name for each of the ${classes.length} classes, in their order, found ${names.length}`,
    );
}

function wantedPaths(suite: Suite, whole: readonly WholeTask[], yaml: LocatedYaml): readonly WantedPath[] {
  const folder = dirname(suite.path);
  const model = (key: string, path: string | undefined): WantedPath[] =>
    path === undefined ? [] : [{ place: `${yaml.locate([key])}: ${key}`, path, folder, what: "a checkpoint" }];
  const ofTask = (task: SuiteTask, { place, folderOf }: WholeTask): WantedPath[] => [
    {
      place: place(["dataset"]),
      path: task.dataset,
      folder: folderOf("dataset"),
      what: "the directory of a data set",
    },
    { place: place(["expert"]), path: task.expert, folder, what: "a checkpoint" },
    ...(typeof task.head === "string"
      ? [{ place: place(["head"]), path: task.head, folder, what: "the file of a head" } as const]
      : []),
  ];
  return [
    ...model("base", suite.base),
    // The package leaves its suites' multi-task models out, a reference that few runs ask for: `multitaskOf` looks for them.
    ...(suite.multitask !== undefined && leftOut(suite.multitask) !== "" ? [] : model("multitask", suite.multitask)),
    ...model("text_model", suite.textModel),
    ...suite.tasks.flatMap((task, index) => {
      const described = whole[index];
      return described === undefined ? [] : ofTask(task, described);
    }),
  ];
}
