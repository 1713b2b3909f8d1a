/**
 * Opens a data set, whatever its format: the registry of readers and the choice among them by looking at the
 * directory. Adding a format is a reader in its own file and a line here.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../errors.js";
import { alignClasses, checkRange, type LabelMeaning } from "./classes.js";
import type { ExifOrientation } from "./image/decode-image.js";
import { csvManifestReader } from "./readers/csv-manifest.js";
import type { Dataset, DatasetReader } from "./readers/dataset-reader.js";
import { listEntries } from "./readers/file-names.js";
import { imageFolderReader } from "./readers/image-folder.js";
import { parquetReader } from "./readers/parquet-dataset.js";
import { isImageName, isLeftover, PassedOver } from "./readers/passed-over.js";
import { webdatasetReader } from "./readers/webdataset.js";
import { type SplitPart, takePart } from "./split-part.js";

export type { Dataset, DatasetReader } from "./readers/dataset-reader.js";

/** In the order in which they are tried. */
export const datasetReaders = [
  csvManifestReader,
  parquetReader,
  webdatasetReader,
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
  throw new DataError(
    `${where}: ${path}: expected images as ${layouts()}, found none${await whatIsThere(path)}; check the path`,
  );
}

function layouts(): string {
  return datasetReaders.map(({ title, layout }) => `${title} (${layout})`).join(" or ");
}

/** Of a folder without images, and of those in it: its files by kind. */
async function whatIsThere(path: string): Promise<string> {
  const passed = new PassedOver();
  for (const { name, isFolder } of await listEntries(path)) {
    if (!isFolder || isLeftover(name)) passed.add(name);
    else
      for (const inner of await listEntries(join(path, name)).catch(() => []))
        if (inner.isFolder) passed.addKind("folders in its folders", `${name}/${inner.name}`);
        else if (!isImageName(inner.name)) passed.add(inner.name);
  }
  return passed.text === "" ? "" : ` (there are ${passed.text})`;
}

export interface OpenDatasetOptions {
  /** The directory of the data set. */
  readonly path: string;
  readonly split: string;
  /** The head's classes in its order; labels are renumbered to it by class name. */
  readonly classes?: readonly string[] | undefined;
  /** Which class a label means, where the data set names its classes; by their names if not given. */
  readonly labels?: LabelMeaning | undefined;
  /** A part of the split instead of all of it. */
  readonly part?: SplitPart | undefined;
  /** How many images the whole split must have. */
  readonly size?: number | undefined;
  /** Who asks, e.g. `suite.yaml: tasks.mnist`; the beginning of errors. */
  readonly where: string;
  /** Parameters of the reader, as in its schema. */
  readonly parameters?: unknown;
  /** Whether images are turned as their EXIF orientation says; they are if absent. */
  readonly exifOrientation?: ExifOrientation | undefined;
  /** Is told what was passed over or assumed. */
  readonly notice?: ((text: string) => void) | undefined;
}

/**
 * Opens one split. Only names, labels and metadata are read; images when asked for. Throws DataError when the directory
 * is missing, no reader recognises it, the split is absent, empty or of another size, or labels do not fit `classes`.
 */
export async function openDataset(options: OpenDatasetOptions): Promise<Dataset> {
  const { path, split, classes, where, part } = options;
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
    const request = { path, split, where, parameters: options.parameters, namesWanted: classes === undefined };
    const whole = await reader.open(request);
    checkSize(whole, options);
    const dataset = { ...(part === undefined ? whole : await takePart(whole, part, where)), ...turning(options) };
    for (const text of dataset.notices ?? []) options.notice?.(text);
    if (classes !== undefined) return alignClasses(dataset, classes, where, options.labels);
    if (dataset.classes !== undefined) checkRange(dataset, dataset.classes.length, where);
    return dataset;
  }
  throw new DataError(`${where}: ${path}: expected split ${split} as ${layouts()}, found none`);
}

function turning({ exifOrientation }: OpenDatasetOptions): Pick<Dataset, "exifOrientation"> {
  return exifOrientation === undefined ? {} : { exifOrientation };
}

/** Published numbers are of certain images; a split with another number of them is another split. */
function checkSize(dataset: Dataset, { size, where, path }: OpenDatasetOptions): void {
  if (size === undefined || dataset.size === size) return;
  throw new DataError(
    `${where}: ${path}: expected ${size} images in split ${dataset.split} (\`images\` of the task), found ${dataset.size}; is it another data set, or an incomplete one? If it is meant, say so: \`images: {}\` in the suite`,
  );
}
