/**
 * Manifests: a row per example, with its label, the name of a class; without that column, or with nothing in it, examples are unlabelled. Images are
 * named by `path`, relative to the manifest, in `<split>.csv` or in `manifest.csv` with a column `split`; texts stand in the rows themselves, of CSV,
 * TSV or JSON lines, in the places of the hub too (split-files.ts). table-rows.ts reads the files, manifest-rows.ts what their rows say.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { DataError } from "../../errors.js";
import { printable } from "../../runtime/printable.js";
import type { ExampleKind } from "../kind.js";
import { SPLIT_NAMES } from "../split-names.js";
import { type Dataset, type DatasetReader, type ReadRequest, readerParameters } from "./dataset-reader.js";
import { readExampleFile } from "./example-file.js";
import { namesLike, presentFile } from "./file-names.js";
import { type LabelledRows, manifestLabels } from "./manifest-labels.js";
import { COMMON_STEM, type ManifestRows, readManifests, splitColumn } from "./manifest-rows.js";
import { isLeftover } from "./passed-over.js";
import { checkShards, findSplitFiles } from "./split-files.js";
import { tableParameters } from "./table-parameters.js";
import { openTable, TABLE_EXTENSIONS } from "./table-rows.js";

const MOST_SHOWN_SPLITS = 10;
/** Asks for the splits there are: no split has this name. */
const NO_SPLIT = "-";

export const manifestReader: DatasetReader = {
  name: "manifest",
  title: (kind) => (holdsTexts(kind) ? "table" : "CSV manifest"),
  layout: (kind) => {
    const [column] = kind.columns.usualInManifests;
    return holdsTexts(kind)
      ? `<split>.csv, .tsv or .jsonl, or ${COMMON_STEM}.csv (columns ${column}, label)`
      : `<split>.csv or ${COMMON_STEM}.csv (columns ${column}, label)`;
  },
  parameters: parametersOf,
  detect: async (path, split, kind) => (await findManifests(path, split, kind)).length > 0,
  splits: manifestSplits,
  open: openManifest,
};

function holdsTexts({ columns }: ExampleKind): boolean {
  return columns.inManifests === "texts";
}

function parametersOf(kind: ExampleKind) {
  const labels = "Column of the class names; label if there is one; absent: unlabelled";
  return tableParameters(kind, { usual: kind.columns.usualInManifests, labels, hasConfigs: holdsTexts(kind) });
}

async function openManifest(request: ReadRequest): Promise<Dataset> {
  const { path, split, where, kind, naming } = request;
  const parameters = readerParameters(parametersOf(kind), request);
  const { option, pairOption } = kind.columns;
  const files = await findManifests(path, split, kind, parameters.config);
  checkShards(files, where);
  const manifests = files.length > 0 ? files : [join(path, `${COMMON_STEM}.csv`)];
  const found = await readManifests(manifests, {
    kind,
    path,
    split,
    where,
    example: parameters[option],
    pair: pairOption === undefined ? undefined : parameters[pairOption],
    label: parameters.label_column,
    naming,
  });
  const [manifest = ""] = manifests;
  if (found.lines.length === 0) {
    const others = [...found.splits].slice(0, MOST_SHOWN_SPLITS).map(printable).join(", ");
    throw new DataError(
      `${where}: ${manifest}: expected at least 1 ${kind.one} of split ${split}, found none${others === "" ? "" : ` (its splits are ${others})`}`,
    );
  }
  const dataset = holdsTexts(kind) ? textsOf(found, request) : filesOf(found, request);
  const labelled: LabelledRows = { ...found, split, where, manifest, config: parameters.config };
  return { ...dataset, ...(await manifestLabels(labelled, request)) };
}

type Unlabelled = Omit<Dataset, "labels" | "classes" | "unlabelled">;

function textsOf({ texts, seconds, lines, place, notices }: ManifestRows, request: ReadRequest): Unlabelled {
  const { path, split, kind } = request;
  return {
    kind: kind.name,
    name: basename(path),
    split,
    size: lines.length,
    locate: place,
    encoded: async (index) => texts.at(index),
    ...(seconds === undefined ? {} : { second: async (index: number) => seconds.at(index) }),
    notices,
  };
}

function filesOf({ files, lines, place, notices }: ManifestRows, request: ReadRequest): Unlabelled {
  const { path, split, kind } = request;
  const locate = (index: number) => `${place(index)} (${files[index]})`;
  return {
    kind: kind.name,
    name: basename(path),
    split,
    size: lines.length,
    locate,
    files,
    encoded: async (index) => {
      const where = locate(index);
      return kind.files.fromBytes(await readListed(files[index] ?? "", where, path, kind), where);
    },
    notices,
  };
}

async function readListed(file: string, place: string, path: string, kind: ExampleKind): Promise<Uint8Array> {
  try {
    return await readExampleFile((await presentFile(file)) ?? file, kind);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError(
      `${place}: expected a readable ${kind.one}, found: ${reason}; paths are relative to ${path}${await namesLike(file)}`,
      { cause },
    );
  }
}

/** Values of manifest.csv's column `split` (none without it); else the files that are called as splits are. */
async function manifestSplits(path: string, kind: ExampleKind): Promise<readonly string[] | undefined> {
  const extensions = extensionsOf(kind);
  const root = (await readdir(path)).filter((name) => !isLeftover(name));
  const common = extensions.map((extension) => `${COMMON_STEM}.${extension}`).find((name) => root.includes(name));
  if (common === undefined) {
    const names = holdsTexts(kind)
      ? (await findSplitFiles(path, NO_SPLIT, { extensions })).splits
      : root.filter((name) => name.endsWith(".csv")).map((name) => name.slice(0, -".csv".length));
    const splits = names.filter((name) => SPLIT_NAMES.has(name.toLowerCase()));
    return splits.length === 0 ? undefined : [...new Set(splits)].toSorted();
  }
  const splits = new Set<string>();
  try {
    const table = await openTable(join(path, common), "", kind.columns.maxRowLength);
    const column = splitColumn(table.columns);
    if (column === undefined) return [];
    for await (const { values } of table.rows) {
      const split = String(values.get(column) ?? "").trim();
      if (split !== "") splits.add(split);
    }
  } catch (error) {
    // What is wrong with it is said when it is opened.
    if (!(error instanceof DataError)) throw error;
  }
  return [...splits];
}

function extensionsOf(kind: ExampleKind): readonly string[] {
  return holdsTexts(kind) ? TABLE_EXTENSIONS : ["csv"];
}

/** The files with the rows of a split: its own, or one for all splits. */
async function findManifests(
  path: string,
  split: string,
  kind: ExampleKind,
  config?: string,
): Promise<readonly string[]> {
  const extensions = extensionsOf(kind);
  for (const stem of config === undefined ? [split, COMMON_STEM] : []) {
    for (const extension of extensions) {
      const file = join(path, `${stem}.${extension}`);
      if ((await stat(file).catch(() => undefined))?.isFile() === true) return [file];
    }
  }
  return holdsTexts(kind) ? (await findSplitFiles(path, split, { extensions, config })).files : [];
}
