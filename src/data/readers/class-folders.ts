/**
 * Files in folders: `<path>/<split>/<class>/<file>`, or `<path>/<class>/<file>` when there are no split folders, or a folder of files
 * without class folders, which is unlabelled. Classes and files are in the order of their names (by UTF-16 code unit, the same on every
 * machine). One level deep: no recursion, so link loops cannot hang it. What is no example by its name, folders inside class folders, and
 * what systems leave behind is counted in the data set's notices.
 */
import { stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { DataError } from "../../errors.js";
import { printable } from "../../runtime/printable.js";
import type { ExampleKind } from "../kind.js";
import { SPLIT_NAMES } from "../split-names.js";
import { type Dataset, type DatasetReader, type ReadRequest, readerParameters } from "./dataset-reader.js";
import { isExampleName, readExampleFile } from "./example-file.js";
import { foreignName, listEntries } from "./file-names.js";
import { emptyTexts, isLeftover, PassedOver } from "./passed-over.js";

const parametersSchema = z.strictObject({});

export const classFolderReader: DatasetReader = {
  name: "folder",
  title: ({ many }) => `Folder of ${many}, one folder per class`,
  layout: ({ files }) => `<split>/<class>/${files.pattern}, <class>/* or <split>/*`,
  parameters: () => parametersSchema,
  detect: async (path, split, kind) => {
    const root = await splitRoot(path, split);
    if (root !== path) return true;
    const { folders, examples } = await list(path, kind);
    return (
      folders.some((folder) => SPLIT_NAMES.has(folder.toLowerCase())) ||
      examples.length > 0 ||
      hasExamples(path, folders, kind)
    );
  },
  splits: async (path, kind) => {
    const { folders, examples } = await list(path, kind);
    const splits = folders.filter((folder) => SPLIT_NAMES.has(folder.toLowerCase()));
    return splits.length > 0 || examples.length > 0 || (await hasExamples(path, folders, kind)) ? splits : undefined;
  },
  open: openClassFolders,
};

interface Listing {
  readonly folders: readonly string[];
  readonly examples: readonly string[];
  /** Files that are no examples, and leftovers. */
  readonly others: readonly string[];
}

async function openClassFolders(request: ReadRequest): Promise<Dataset> {
  readerParameters(parametersSchema, request);
  const { path, split, where, kind } = request;
  const { one, many, files: read } = kind;
  const root = await splitRoot(path, split);
  const { folders, examples, others } = await list(root, kind);
  if (root === path && folders.some((folder) => SPLIT_NAMES.has(folder.toLowerCase())))
    throw new DataError(
      `${where}: ${path}: expected a folder ${split}, found ${folders.join(", ")}; choose one of these splits`,
    );
  const passed = new PassedOver();
  if (folders.length > 0 && examples.length > 0) {
    if (!read.mayLieBesideClasses || !(await hasExamples(root, folders, kind)))
      throw new DataError(
        `${where}: ${root}: expected either class folders or ${many}, found ${folders.length} folders (${folders[0]}, ...) ` +
          `and ${examples.length} ${many} (${examples[0]}, ...); move the ${many} into class folders`,
      );
    for (const example of examples) passed.addKind(`${many} beside class folders`, example);
  }
  const name = basename(path);
  for (const other of others) passed.add(other);
  if (root !== path) await countBeside(path, split, kind, passed);
  if (folders.length === 0) {
    const files = examples.map((example) => join(root, example));
    return {
      ...(await folderDataset({ name, split, files, root, where, kind, passed })),
      unlabelled: `${root}: expected a folder per class, found none`,
    };
  }
  const files: string[] = [];
  const labels: number[] = [];
  const empty = new Map<string, string>();
  for (const [label, folder] of folders.entries()) {
    const listing = await list(join(root, folder), kind);
    const inClass = new PassedOver();
    for (const other of listing.others)
      for (const counter of [passed, inClass]) counter.add(isLeftover(other) ? other : `${folder}/${other}`);
    for (const inner of listing.folders)
      for (const counter of [passed, inClass]) counter.addKind("folders in class folders", `${folder}/${inner}`);
    if (listing.examples.length === 0) empty.set(folder, inClass.text || "nothing");
    for (const example of listing.examples) {
      files.push(join(root, folder, example));
      labels.push(label);
    }
  }
  const found = await folderDataset({ name, split, files, root, where, kind, passed });
  const ofEmpty = [...empty].map(
    ([folder, there]) =>
      `${root}: class ${printable(folder)} has no ${one}: its folder has ${there}; read are ${read.formats}`,
  );
  return {
    ...found,
    classes: folders,
    labels: Int32Array.from(labels),
    notices: [...(found.notices ?? []), ...ofEmpty],
    emptyClasses: empty,
  };
}

/** Beside a split's folder: folders that are no splits, which are not its classes, and examples. */
async function countBeside(path: string, split: string, kind: ExampleKind, passed: PassedOver): Promise<void> {
  const { folders, examples } = await list(path, kind);
  const isSplit = (folder: string) => folder === split || SPLIT_NAMES.has(folder.toLowerCase());
  // Of splits with names of their own there are several, of which this is one.
  if (!SPLIT_NAMES.has(split.toLowerCase())) return;
  for (const folder of folders) if (!isSplit(folder)) passed.addKind(`folders beside ${split}`, folder);
  for (const example of examples) passed.addKind(`${kind.many} beside ${split}`, example);
}

async function folderDataset(found: {
  name: string;
  split: string;
  files: readonly string[];
  root: string;
  where: string;
  kind: ExampleKind;
  passed: PassedOver;
}): Promise<Dataset> {
  const { files, passed, kind } = found;
  if (files.length === 0)
    throw new DataError(
      `${found.where}: ${found.root}: expected at least 1 ${kind.one} (${kind.files.formats}), found ${passed.text || "none"}`,
    );
  const locate = (index: number) => files[index] ?? `${kind.one} ${index}`;
  const read = async (index: number) => {
    try {
      return await readExampleFile(locate(index), kind);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new DataError(
        `${locate(index)}: expected a readable ${kind.one}, found: ${reason}; was it moved while in use?`,
        { cause: error },
      );
    }
  };
  const absolute = files.map((file) => resolve(file));
  return {
    kind: kind.name,
    name: found.name,
    split: found.split,
    size: files.length,
    encoded: async (index) => kind.files.fromBytes(await read(index), locate(index)),
    locate,
    files: absolute,
    notices: [...passed.notices(found.root), ...(await emptyNotices(files, found.root, kind))],
  };
}

/** Of kinds that may be empty. */
async function emptyNotices(
  files: readonly string[],
  root: string,
  { columns }: ExampleKind,
): Promise<readonly string[]> {
  if (columns.holding !== "texts") return [];
  const empty: string[] = [];
  for (const file of files) if ((await stat(file).catch(() => undefined))?.size === 0) empty.push(file);
  return emptyTexts(root, empty.length, basename(empty[0] ?? ""));
}

/** `<path>/<split>` when it is a folder, else `path` itself. */
async function splitRoot(path: string, split: string): Promise<string> {
  const folder = join(path, split);
  return (await isFolder(folder)) ? folder : path;
}

async function hasExamples(path: string, folders: readonly string[], kind: ExampleKind): Promise<boolean> {
  for (const folder of folders) if ((await list(join(path, folder), kind)).examples.length > 0) return true;
  return false;
}

/** Throws DataError for a folder or an example whose name is not UTF-8. */
async function list(path: string, kind: ExampleKind): Promise<Listing> {
  const folders: string[] = [];
  const examples: string[] = [];
  const others: string[] = [];
  for (const { name, isText, ...entry } of await listEntries(path)) {
    if (isLeftover(name)) {
      others.push(name);
      continue;
    }
    // An entry that is a link is what it points to.
    const isInside = entry.isFolder || (entry.isLink && (await isFolder(join(path, name))));
    const isExample = isExampleName(name, kind);
    if (!isText && (isInside || isExample)) throw foreignName(path, isInside ? "the folder" : "the file", name);
    if (isInside) folders.push(name);
    else (isExample ? examples : others).push(name);
  }
  return { folders: folders.sort(), examples: examples.sort(), others: others.sort() };
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
