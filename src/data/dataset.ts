/**
 * Opens a data set, whatever its format: the registry of readers and the choice among them by looking at the
 * directory. Adding a format is a reader in its own file and a line here.
 */
import { stat } from "node:fs/promises";
import { DataError } from "../errors.js";
import { alignClasses, checkRange } from "./classes.js";
import { csvManifestReader } from "./csv-manifest.js";
import type { DatasetReader, ImageDataset } from "./image-dataset.js";
import { imageFolderReader } from "./image-folder.js";
import { parquetReader } from "./parquet-dataset.js";

export type { DatasetReader, ImageDataset } from "./image-dataset.js";

/** In the order in which they are tried. */
export const datasetReaders = [
  csvManifestReader,
  parquetReader,
  imageFolderReader,
] as const satisfies readonly DatasetReader[];

/**
 * Splits that a data set's directory shows; none when its images are one collection. Throws DataError when it is no directory, or none that a reader
 * recognises.
 */
export async function datasetSplits(path: string, where: string): Promise<readonly string[]> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() !== true)
    throw new DataError(
      `${where}: ${path}: expected the directory of a data set, found ${found === undefined ? "nothing there" : "a file"}; check the path`,
    );
  for (const reader of datasetReaders) {
    const splits = await reader.splits(path);
    if (splits !== undefined) return splits;
  }
  const layouts = datasetReaders.map(({ title, layout }) => `${title} (${layout})`).join(" or ");
  throw new DataError(`${where}: ${path}: expected images as ${layouts}, found none; check the path`);
}

export interface OpenDatasetOptions {
  /** The directory of the data set. */
  readonly path: string;
  readonly split: string;
  /** The head's classes in its order; labels are renumbered to it by class name. */
  readonly classes?: readonly string[] | undefined;
  /** Who asks, e.g. `suite.yaml: tasks.mnist`; the beginning of errors. */
  readonly where: string;
  /** Parameters of the reader, as in its schema. */
  readonly parameters?: unknown;
}

/**
 * Opens one split. Only names, labels and metadata are read; images when asked for. Throws DataError when the directory
 * is missing, no reader recognises it, the split is absent or empty, or labels do not fit `classes`.
 */
export async function openDataset({
  path,
  split,
  classes,
  where,
  parameters,
}: OpenDatasetOptions): Promise<ImageDataset> {
  // A split becomes part of a path; it must stay inside the data set.
  if (!/^[\w][\w.-]*$/.test(split))
    throw new DataError(
      `${where}: expected a split name of letters, digits, "_", "-" and ".", found ${JSON.stringify(split)}`,
    );
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => undefined,
  );
  if (isFolder !== true) {
    const found = isFolder === undefined ? "nothing there" : "a file";
    throw new DataError(`${where}: ${path}: expected the directory of a data set, found ${found}; check the path`);
  }
  for (const reader of datasetReaders) {
    if (!(await reader.detect(path, split))) continue;
    const dataset = await reader.open({ path, split, where, parameters });
    if (classes !== undefined) return alignClasses(dataset, classes, where);
    if (dataset.classes !== undefined) checkRange(dataset, dataset.classes.length, where);
    return dataset;
  }
  const layouts = datasetReaders.map(({ title, layout }) => `${title} (${layout})`).join(" or ");
  throw new DataError(`${where}: ${path}: expected split ${split} as ${layouts}, found none`);
}
