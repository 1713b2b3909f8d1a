/**
 * Opens a data set, whatever its format: the registry of readers and the choice among them by looking at the
 * directory. Adding a format is a reader in its own file and a line here.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError, DataError } from "../errors.js";
import { noteExtension } from "../runtime/extensions.js";
import { alignClasses, checkRange, type LabelMeaning } from "./classes.js";
import type { ExifOrientation } from "./image/decode-image.js";
import type { ExampleKind, KindName } from "./kind.js";
import { kindOf } from "./kinds.js";
import { checkedReader } from "./readers/checked-reader.js";
import { classFolderReader } from "./readers/class-folders.js";
import { type ColumnNaming, namedInSuite } from "./readers/columns.js";
import type { Dataset, DatasetReader } from "./readers/dataset-reader.js";
import { isExampleName } from "./readers/example-file.js";
import { listEntries } from "./readers/file-names.js";
import { manifestReader } from "./readers/manifest.js";
import { parquetReader } from "./readers/parquet-dataset.js";
import { isLeftover, PassedOver } from "./readers/passed-over.js";
import { webdatasetReader } from "./readers/webdataset.js";
import { type SplitPart, takePart } from "./split-part.js";

export type { Dataset, DatasetReader } from "./readers/dataset-reader.js";

const ownReaders: readonly DatasetReader[] = [manifestReader, parquetReader, webdatasetReader, classFolderReader];
const outsideReaders: DatasetReader[] = [];

/** In the order in which they are tried: those from outside the package first, since the package's take what looks like theirs. */
function readers(): readonly DatasetReader[] {
  return [...outsideReaders, ...ownReaders];
}

/** Adds a reader from outside the package. Throws ConfigError for what is none, and for a name that is taken. */
export function addDatasetReader(found: unknown): void {
  const reader = checkedReader(found);
  if (readers().some(({ name }) => name === reader.name))
    throw new ConfigError(
      `addReader: name: expected one that no reader has yet, found ${reader.name}. Give the reader another name`,
    );
  noteExtension("reader", reader.name);
  outsideReaders.push(reader);
}

/**
 * Splits that a data set's directory shows; none when its examples are one collection. Throws DataError when it is no directory, or none that a reader
 * recognises.
 */
export async function datasetSplits(path: string, kindName: KindName, where: string): Promise<readonly string[]> {
  const kind = kindOf(kindName);
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() !== true)
    throw new DataError(
      `${where}: ${path}: expected the directory of a data set, found ${found === undefined ? "nothing there" : "a file"}; check the path`,
    );
  for (const reader of readers()) {
    const splits = await reader.splits(path, kind);
    if (splits !== undefined) return splits;
  }
  throw new DataError(
    `${where}: ${path}: expected ${kind.many} as ${layouts(kind)}, found none${await whatIsThere(path, kind)}; check the path`,
  );
}

function layouts(kind: ExampleKind): string {
  return readers()
    .map(({ title, layout }) => `${title(kind)} (${layout(kind)})`)
    .join(" or ");
}

/** Of a folder without examples, and of those in it: its files by kind. */
async function whatIsThere(path: string, kind: ExampleKind): Promise<string> {
  const passed = new PassedOver();
  for (const { name, isFolder } of await listEntries(path)) {
    if (!isFolder || isLeftover(name)) passed.add(name);
    else
      for (const inner of await listEntries(join(path, name)).catch(() => []))
        if (inner.isFolder) passed.addKind("folders in its folders", `${name}/${inner.name}`);
        else if (!isExampleName(inner.name, kind)) passed.add(inner.name);
  }
  return passed.text === "" ? "" : ` (there are ${passed.text})`;
}

export interface OpenDatasetOptions {
  /** What the examples are: what the model's encoder takes. */
  readonly kind: KindName;
  /** The directory of the data set. */
  readonly path: string;
  readonly split: string;
  /** The head's classes in its order; labels are renumbered to it by class name. */
  readonly classes?: readonly string[] | undefined;
  /** Which class a label means, where the data set names its classes; by their names if not given. */
  readonly labels?: LabelMeaning | undefined;
  /** A part of the split instead of all of it. */
  readonly part?: SplitPart | undefined;
  /** How many examples the whole split must have. */
  readonly size?: number | undefined;
  /** Who asks, e.g. `suite.yaml: tasks.mnist`; the beginning of errors. */
  readonly where: string;
  /** Parameters of the reader, as in its schema. */
  readonly parameters?: unknown;
  /** How the parameters that are columns are said, for messages; as in suite.yaml if absent. */
  readonly naming?: ColumnNaming | undefined;
  /** Whether images are turned as their EXIF orientation says; they are if absent. */
  readonly exifOrientation?: ExifOrientation | undefined;
  /** Is told what was passed over or assumed. */
  readonly notice?: ((text: string) => void) | undefined;
}

/**
 * Opens one split. Only names, labels and metadata are read, and texts of tables by lines; other examples when asked for. Throws DataError when the directory
 * is missing, no reader recognises it, the split is absent, empty or of another size, or labels do not fit `classes`.
 */
export async function openDataset(options: OpenDatasetOptions): Promise<Dataset> {
  const { path, split, classes, where, part, naming = namedInSuite } = options;
  const kind = kindOf(options.kind);
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
  for (const reader of readers()) {
    if (!(await reader.detect(path, split, kind))) continue;
    const request = { path, split, where, kind, parameters: options.parameters, classes, naming };
    const whole = await reader.open(request);
    checkSize(whole, kind, options);
    const dataset = { ...(part === undefined ? whole : await takePart(whole, part, where)), ...turning(options) };
    for (const text of dataset.notices ?? []) options.notice?.(text);
    if (classes !== undefined) return alignClasses(dataset, classes, where, options.labels);
    if (dataset.classes !== undefined) checkRange(dataset, dataset.classes.length, where);
    return dataset;
  }
  throw new DataError(
    `${where}: ${path}: expected split ${split} as ${layouts(kind)}, found none${await splitsThere(path, kind)}`,
  );
}

async function splitsThere(path: string, kind: ExampleKind): Promise<string> {
  for (const reader of readers()) {
    const splits = (await reader.splits(path, kind)) ?? [];
    if (splits.length > 0) return ` (there are ${splits.join(", ")})`;
  }
  return "";
}

function turning({ exifOrientation }: OpenDatasetOptions): Pick<Dataset, "exifOrientation"> {
  return exifOrientation === undefined ? {} : { exifOrientation };
}

/** Published numbers are of certain examples; a split with another number of them is another split. */
function checkSize(dataset: Dataset, { many, countKey }: ExampleKind, { size, where, path }: OpenDatasetOptions): void {
  if (size === undefined || dataset.size === size) return;
  throw new DataError(
    `${where}: ${path}: expected ${size} ${many} in split ${dataset.split} (\`${countKey}\` of the task), found ${dataset.size}; is it another data set, or an incomplete one? If it is meant, say so: \`${countKey}: {}\` in the suite`,
  );
}
