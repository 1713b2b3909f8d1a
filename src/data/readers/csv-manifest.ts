/**
 * Manifests: `<split>.csv` (or `manifest.csv` with a column `split`) in the data set's folder, a row per image: its `path`, relative to the manifest,
 * and its `label`, the name of a class; without that column, or with nothing in it, the images are unlabelled. csv-rows.ts reads the file.
 * Classes are in the order of their names unless the head's order is known; with a column `split` they are those of all splits, since a small split
 * need not have an image of each.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { DataError } from "../../errors.js";
import { printable } from "../../runtime/printable.js";
import { SPLIT_NAMES } from "../split-names.js";
import { isSameName, nearColumn, shownColumns } from "./columns.js";
import { type CsvRow, openCsv } from "./csv-rows.js";
import { type Dataset, type DatasetReader, type ReadRequest, readerParameters } from "./dataset-reader.js";
import { readImageFile } from "./example-file.js";
import { namesLike, presentFile } from "./file-names.js";
import { isLeftover } from "./passed-over.js";

const COMMON_NAME = "manifest.csv";
const IMAGE_COLUMN = "path";
const LABEL_COLUMN = "label";
const SPLIT_COLUMN = "split";
const MAX_IMAGES = 20_000_000;
const MOST_SHOWN_SPLITS = 10;

const parametersSchema = z.strictObject({
  image_column: z.string().min(1).optional().describe("Column of the images' paths; path if there is one"),
  label_column: z
    .string()
    .min(1)
    .optional()
    .describe("Column of the class names; label if there is one; absent: unlabelled"),
});

export const csvManifestReader: DatasetReader = {
  name: "csv",
  title: "CSV manifest",
  layout: `<split>.csv or ${COMMON_NAME} (columns path, label)`,
  parameters: parametersSchema,
  detect: async (path, split) => (await findManifest(path, split)) !== undefined,
  splits: manifestSplits,
  open: openManifest,
};

interface Row {
  readonly file: string;
  /** Empty: none. */
  readonly label: string;
  /** In the manifest, from 1. */
  readonly line: number;
}

async function openManifest(request: ReadRequest): Promise<Dataset> {
  const { path, split, where } = request;
  const parameters = readerParameters(parametersSchema, request);
  const manifest = (await findManifest(path, split)) ?? join(path, COMMON_NAME);
  const { rows, labels, columns, splits, notices } = await readRows(manifest, { ...parameters, path, split, where });
  if (rows.length === 0) {
    const others = [...splits].slice(0, MOST_SHOWN_SPLITS).map(printable).join(", ");
    throw new DataError(
      `${where}: ${manifest}: expected at least 1 image of split ${split}, found none${others === "" ? "" : ` (its splits are ${others})`}`,
    );
  }
  const locate = (index: number) => `${manifest}:${rows[index]?.line} (${rows[index]?.file})`;
  const dataset: Dataset = {
    name: basename(path),
    split,
    size: rows.length,
    locate,
    files: rows.map(({ file }) => file),
    encoded: (index) => readImage(rows[index]?.file ?? "", locate(index), path),
    notices,
  };
  const unlabelled = rows.find(({ label }) => label === "");
  if (unlabelled !== undefined || columns.label === undefined) {
    if (columns.label !== undefined && rows.some(({ label }) => label !== ""))
      throw new DataError(
        `${where}: ${manifest}:${unlabelled?.line}: expected a value for ${columns.label}, as other rows of split ${split} have one, found none`,
      );
    const why = columns.label === undefined ? `columns ${columns.found}` : `nothing in column ${columns.label}`;
    return { ...dataset, unlabelled: `${manifest}: expected a column of labels (${LABEL_COLUMN}), found ${why}` };
  }
  const classes = [...labels].toSorted();
  const numbers = new Map(classes.map((name, number) => [name, number]));
  return { ...dataset, classes, labels: Int32Array.from(rows, ({ label }) => numbers.get(label) ?? 0) };
}

async function readImage(file: string, place: string, path: string): Promise<Uint8Array> {
  try {
    return await readImageFile((await presentFile(file)) ?? file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError(
      `${place}: expected a readable image, found: ${reason}; paths are relative to ${path}${await namesLike(file)}`,
      { cause },
    );
  }
}

interface Reading {
  readonly image_column?: string | undefined;
  readonly label_column?: string | undefined;
  readonly path: string;
  readonly split: string;
  readonly where: string;
}

interface ManifestColumns {
  readonly image: string;
  readonly label: string | undefined;
  readonly split: string | undefined;
  /** Why there is no label. */
  readonly found: string;
  readonly notices: readonly string[];
}

interface ManifestRows {
  readonly rows: readonly Row[];
  readonly labels: ReadonlySet<string>;
  readonly columns: ManifestColumns;
  /** Of the whole file, where it has a column of them. */
  readonly splits: ReadonlySet<string>;
  readonly notices: readonly string[];
}

/** The rows of the split, and the labels of the whole file. Throws DataError with file and line for a row that is not one. */
async function readRows(manifest: string, reading: Reading): Promise<ManifestRows> {
  const { where, path, split } = reading;
  const table = await openCsv(manifest, where);
  if (table.columns.length === 0)
    throw new DataError(`${where}: ${manifest}: expected at least 1 image of split ${split}, found an empty file`);
  const columns = manifestColumns(table.columns, manifest, reading);
  const rows: Row[] = [];
  const [labels, splits] = [new Set<string>(), new Set<string>()];
  let withoutSplit: CsvRow | undefined;
  let countWithoutSplit = 0;
  for await (const row of table.rows) {
    const { values, line } = row;
    const label = columns.label === undefined ? "" : (values.get(columns.label) ?? "");
    if (label !== "") labels.add(label);
    if (columns.split !== undefined) {
      const own = values.get(columns.split)?.trim() ?? "";
      if (own === "") {
        withoutSplit ??= row;
        countWithoutSplit += 1;
      } else splits.add(own);
      if (own !== split) continue;
    }
    const image = values.get(columns.image) ?? "";
    if (image === "")
      throw new DataError(`${where}: ${manifest}:${line}: expected a value for ${columns.image}, found none`);
    if (rows.length >= MAX_IMAGES)
      throw new DataError(`${where}: ${manifest}: expected at most ${MAX_IMAGES} images, found more`);
    rows.push({ file: resolve(path, image), label, line });
  }
  const notices = [
    ...table.notices,
    ...columns.notices,
    ...(withoutSplit === undefined
      ? []
      : [
          `${manifest}: passed over: ${countWithoutSplit} rows with nothing in column ${columns.split} (the first in line ${withoutSplit.line})`,
        ]),
  ];
  return { rows, labels, columns, splits, notices };
}

function manifestColumns(
  columns: readonly string[],
  manifest: string,
  { image_column, label_column, where }: Reading,
): ManifestColumns {
  const usualImage = image_column ?? IMAGE_COLUMN;
  const image = columns.includes(usualImage)
    ? { column: usualImage, found: "" }
    : image_column === undefined
      ? nearColumn(columns, "image", "dataset.image_column")
      : { column: undefined, found: shownColumns(columns) };
  if (image.column === undefined)
    throw new DataError(
      `${where}: ${manifest}:1: expected a column ${usualImage}, found ${image.found}; name it with dataset.image_column`,
    );
  const usualLabel = label_column ?? LABEL_COLUMN;
  const label = columns.includes(usualLabel)
    ? { column: usualLabel, found: "" }
    : label_column === undefined
      ? nearColumn(columns, "label", "dataset.label_column", image.column)
      : { column: undefined, found: `${shownColumns(columns)}, none called ${label_column}` };
  const split = basename(manifest) === COMMON_NAME ? splitColumn(columns) : undefined;
  const said = [image, label].flatMap((choice) => ("notice" in choice && choice.notice ? [choice.notice] : []));
  return {
    image: image.column,
    label: label.column,
    split,
    found: label.found || shownColumns(columns),
    notices: said.map((notice) => `${manifest}: ${notice}`),
  };
}

function splitColumn(columns: readonly string[]): string | undefined {
  if (columns.includes(SPLIT_COLUMN)) return SPLIT_COLUMN;
  const near = columns.filter((name) => isSameName(name, SPLIT_COLUMN));
  return near.length === 1 ? near[0] : undefined;
}

/** Values of manifest.csv's column `split` (none without it); else the CSV files that are called as splits are. */
async function manifestSplits(path: string): Promise<readonly string[] | undefined> {
  const names = (await readdir(path)).filter((name) => name.endsWith(".csv") && !isLeftover(name));
  if (!names.includes(COMMON_NAME)) {
    const stems = names
      .map((name) => name.slice(0, -".csv".length))
      .filter((name) => SPLIT_NAMES.has(name.toLowerCase()));
    return stems.length === 0 ? undefined : stems.toSorted();
  }
  const splits = new Set<string>();
  try {
    const table = await openCsv(join(path, COMMON_NAME), "");
    const column = splitColumn(table.columns);
    if (column === undefined) return [];
    for await (const { values } of table.rows) {
      const split = values.get(column)?.trim() ?? "";
      if (split !== "") splits.add(split);
    }
  } catch (error) {
    // What is wrong with it is said when it is opened.
    if (!(error instanceof DataError)) throw error;
  }
  return [...splits];
}

async function findManifest(path: string, split: string): Promise<string | undefined> {
  for (const name of [`${split}.csv`, COMMON_NAME]) {
    const found = await stat(join(path, name)).catch(() => undefined);
    if (found?.isFile()) return join(path, name);
  }
  return undefined;
}
