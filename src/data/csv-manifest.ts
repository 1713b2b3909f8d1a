/**
 * Manifests: `<split>.csv` (or `manifest.csv` with a column `split`) in the data set's folder, a row per image: its `path`, relative to the manifest,
 * and its `label`, the name of a class; without that column the images are unlabelled. RFC 4180 with a header row, read by csv-parse.
 * Classes are in the order of their names unless the head's order is known; with a column `split` they are those of all splits, since a small split
 * need not have an image of each.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import { z } from "zod";
import { DataError } from "../errors.js";
import { streamRegular } from "../runtime/regular-file.js";
import { type DatasetReader, type ImageDataset, type ReadRequest, readerParameters } from "./image-dataset.js";
import { readImageFile } from "./image-file.js";
import { SPLIT_NAMES } from "./split-names.js";

const COMMON_NAME = "manifest.csv";
const SPLIT_COLUMN = "split";
/** A path and a class name are far shorter; bounds what a broken quote can gather. */
const MAX_ROW_LENGTH = 100_000;
const MAX_IMAGES = 20_000_000;

const parametersSchema = z.strictObject({
  image_column: z.string().min(1).default("path").describe("Column of the images' paths"),
  label_column: z.string().min(1).default("label").describe("Column of the class names; absent: unlabelled"),
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
  readonly label: string | undefined;
  /** In the manifest, from 1. */
  readonly line: number;
}

async function openManifest(request: ReadRequest): Promise<ImageDataset> {
  const { path, split, where } = request;
  const columns = readerParameters(parametersSchema, request);
  const manifest = (await findManifest(path, split)) ?? join(path, COMMON_NAME);
  const { rows, labels } = await readRows(manifest, { ...columns, path, split, where });
  if (rows.length === 0)
    throw new DataError(`${where}: ${manifest}: expected at least 1 image of split ${split}, found none`);
  const locate = (index: number) => `${manifest}:${rows[index]?.line} (${rows[index]?.file})`;
  const dataset: ImageDataset = {
    name: basename(path),
    split,
    size: rows.length,
    locate,
    files: rows.map(({ file }) => file),
    encoded: async (index) =>
      readImageFile(rows[index]?.file ?? "").catch((cause: unknown) => {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new DataError(
          `${locate(index)}: expected a readable image, found: ${reason}; paths are relative to ${path}`,
          {
            cause,
          },
        );
      }),
  };
  const classes = [...labels].toSorted();
  if (classes.length === 0) return dataset;
  const numbers = new Map(classes.map((name, number) => [name, number]));
  return { ...dataset, classes, labels: Int32Array.from(rows, ({ label = "" }) => numbers.get(label) ?? 0) };
}

interface Reading extends z.output<typeof parametersSchema> {
  readonly path: string;
  readonly split: string;
  readonly where: string;
}

/** The rows of the split, and the labels of the whole file. Throws DataError with file and line for a row that is not one. */
async function readRows(
  manifest: string,
  reading: Reading,
): Promise<{ readonly rows: readonly Row[]; readonly labels: ReadonlySet<string> }> {
  const { where, image_column, label_column, path, split } = reading;
  const parser = Readable.from(streamRegular(manifest, "a CSV manifest", DataError)).pipe(
    parse({
      bom: true,
      columns: (header: string[]) => checkHeader(header, manifest, reading),
      info: true,
      skip_empty_lines: true,
      max_record_size: MAX_ROW_LENGTH,
    }),
  );
  const rows: Row[] = [];
  const labels = new Set<string>();
  try {
    for await (const { record, info } of parser) {
      const values = new Map<string, string>(Object.entries(record));
      const line: number = info.lines;
      const label = values.get(label_column);
      if (label !== undefined && label !== "") labels.add(label);
      if (basename(manifest) === COMMON_NAME && values.has(SPLIT_COLUMN) && values.get(SPLIT_COLUMN) !== split)
        continue;
      const image = values.get(image_column) ?? "";
      if (image === "" || label === "")
        throw new DataError(
          `${where}: ${manifest}:${line}: expected a value for ${image === "" ? image_column : label_column}, found none`,
        );
      if (rows.length >= MAX_IMAGES)
        throw new DataError(`${where}: ${manifest}: expected at most ${MAX_IMAGES} images, found more`);
      rows.push({ file: resolve(path, image), label, line });
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new DataError(`${where}: ${manifest}: expected CSV with a header row (RFC 4180), found: ${error.message}`, {
      cause: error,
    });
  }
  return { rows, labels };
}

function checkHeader(header: readonly string[], manifest: string, { image_column, where }: Reading): string[] {
  const twice = header.find((name, column) => header.indexOf(name) !== column);
  if (twice !== undefined)
    throw new DataError(`${where}: ${manifest}:1: expected each column once, found ${twice} twice`);
  if (!header.includes(image_column))
    throw new DataError(
      `${where}: ${manifest}:1: expected a column ${image_column}, found ${header.join(", ")}; name it with dataset.image_column`,
    );
  return [...header];
}

/** Values of manifest.csv's column `split` (none without it); else the CSV files that are called as splits are. */
async function manifestSplits(path: string): Promise<readonly string[] | undefined> {
  const names = (await readdir(path)).filter((name) => name.endsWith(".csv"));
  if (!names.includes(COMMON_NAME)) {
    const stems = names
      .map((name) => name.slice(0, -".csv".length))
      .filter((name) => SPLIT_NAMES.has(name.toLowerCase()));
    return stems.length === 0 ? undefined : stems.toSorted();
  }
  const splits = new Set<string>();
  const rows = Readable.from(streamRegular(join(path, COMMON_NAME), "a CSV manifest", DataError)).pipe(
    parse({
      bom: true,
      columns: true,
      skip_empty_lines: true,
      relax_column_count: true,
      max_record_size: MAX_ROW_LENGTH,
    }),
  );
  try {
    for await (const row of rows) {
      const split: unknown = row[SPLIT_COLUMN];
      if (typeof split === "string" && split !== "") splits.add(split);
    }
  } catch (error) {
    // What is wrong with it is said when it is opened.
    if (!(error instanceof CsvError)) throw error;
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
