/**
 * A task of a suite, whole: what suite.yaml says of it, laid over what the file of its definition says. Remembers from which file each part
 * is, for paths (relative to the file that names them) and for errors.
 */
import { access } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type LocatedYaml, readYamlFile } from "../config/strict-yaml.js";
import { DataError } from "../errors.js";
import { checkedYaml } from "./suite-issues.js";
import {
  type DatasetDescription,
  definitionSchema,
  type TaskDefinition,
  type TaskDescription,
} from "./suite-schema.js";

export interface WholeTask extends Omit<TaskDescription, "dataset" | "head" | "classes" | "definition" | "images"> {
  readonly dataset: string | DatasetDescription;
  readonly head: TaskDefinition["head"];
  readonly classes: readonly string[];
  /** File of the definition, absolute; undefined where there is none. */
  readonly definition: string | undefined;
  /** The folder that a path at this key is relative to. */
  folderOf(key: "dataset" | "head"): string;
  /** `file:line: key` of a part. */
  place(path: readonly PropertyKey[]): string;
}

/** Task number `index` of the suite in `file`. Throws DataError for a definition that is not there, ConfigError for its mistakes. */
export async function wholeTask(
  task: TaskDescription,
  index: number,
  suite: LocatedYaml,
  file: string,
): Promise<WholeTask> {
  const ownPlace = (path: readonly PropertyKey[]) => placeIn(suite, ["tasks", index, ...path]);
  const { dataset, head, classes } = task;
  if (task.definition === undefined) {
    if (dataset === undefined || head === undefined || classes === undefined)
      throw new TypeError(`${ownPlace([])}: the schema let a task without data set, head or classes through`);
    const folder = dirname(file);
    const { images, ...own } = task;
    const examples = own.examples ?? images;
    return { ...own, examples, dataset, head, classes, definition: undefined, folderOf: () => folder, place: ownPlace };
  }
  const path = resolve(dirname(file), task.definition);
  await access(path).catch((cause: unknown) => {
    throw new DataError(
      `${ownPlace(["definition"])}: expected the file of a task's definition, found none at ${path}; its path is relative to the suite's file`,
      { cause },
    );
  });
  const yaml = await readYamlFile(path, "the definition of a task");
  const defined = checkedYaml(definitionSchema, yaml);
  const ownCounts = task.examples ?? task.images;
  const isOwn = (key: PropertyKey | undefined) => key === "expert" || (key !== undefined && Reflect.has(task, key));
  return {
    name: task.name,
    expert: task.expert,
    title: task.title ?? defined.title,
    dataset: laidOver(dataset, defined.dataset),
    // The numbers are the defined data set's, also when it lies elsewhere.
    examples: ownCounts ?? (typeof dataset === "object" ? undefined : (defined.examples ?? defined.images)),
    head: head ?? defined.head,
    classes: classes ?? defined.classes,
    licence: task.licence ?? defined.licence,
    source: task.source ?? defined.source,
    definition: path,
    folderOf: (key) => dirname(isOwn(key) ? file : path),
    place: (at) => (at.length === 0 || isOwn(at[0]) ? ownPlace(at) : placeIn(yaml, at)),
  };
}

/** A path alone says where the defined data set lies; a section is another data set. */
function laidOver(own: TaskDescription["dataset"], defined: TaskDefinition["dataset"]): WholeTask["dataset"] {
  if (own === undefined) return defined;
  return typeof own === "string" && typeof defined !== "string" ? { ...defined, path: own } : own;
}

function placeIn(yaml: LocatedYaml, path: readonly PropertyKey[]): string {
  return `${yaml.locate(path)}: ${path.map(String).join(".")}`;
}
