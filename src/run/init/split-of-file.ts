/** Which split a single file is that `adamerge init` is given: a data set is its folder and the file's name, as a run reads it later. */
import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { datasetSplits } from "../../data/dataset.js";
import type { KindName } from "../../data/kind.js";
import { kindOf } from "../../data/kinds.js";
import { COMMON_STEM } from "../../data/readers/manifest-rows.js";
import { PARQUET, splitName } from "../../data/readers/split-files.js";
import { TABLE_EXTENSIONS } from "../../data/readers/table-rows.js";
import { DataError } from "../../errors.js";

/** A data set as it is opened: its folder, and the splits that it has there. */
export interface DatasetPlace {
  readonly place: string;
  /** None where it is one collection without a name. */
  readonly own: readonly string[];
}

/** What a person's folder or single file is. Throws as `splitOfFile`, and DataError for a folder that cannot be read. */
export async function datasetPlace(path: string, kind: KindName, where: string): Promise<DatasetPlace> {
  const isFile = (await stat(path).catch(() => undefined))?.isFile() === true;
  const place = isFile ? dirname(path) : path;
  const ofFile = isFile ? await splitOfFile(path, kind, where) : undefined;
  return { place, own: ofFile === undefined ? await datasetSplits(place, kind, where) : [ofFile] };
}

/** Undefined for a manifest, which is of several splits. Throws DataError for a file of another form, and for one that another hides. */
async function splitOfFile(path: string, kind: KindName, where: string): Promise<string | undefined> {
  const areTexts = kindOf(kind).columns.inManifests === "texts";
  // In the order in which they are read where there are several.
  const extensions = areTexts ? [...TABLE_EXTENSIONS, ...PARQUET] : ["csv"];
  const file = basename(path);
  const extension = extensions.find((ending) => file.endsWith(`.${ending}`));
  if (extension === undefined)
    throw new DataError(
      `${where}: ${path}: expected a folder or a ${areTexts ? ".csv, .tsv, .jsonl, .json or .parquet" : ".csv"} file, found another file; check the path`,
    );
  const split = splitName(file, extensions);
  for (const before of extensions.slice(0, extensions.indexOf(extension))) {
    const other = join(dirname(path), `${split}.${before}`);
    if ((await stat(other).catch(() => undefined)) !== undefined)
      throw new DataError(`${where}: ${path}: expected a name of its own, found ${other} beside it; move one of them`);
  }
  return split === COMMON_STEM ? undefined : split;
}
