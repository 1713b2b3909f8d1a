/** Which split a single file is that `adamerge init` is given: a data set is its folder and the file's name, as a run reads it later. */
import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { KindName } from "../../data/kind.js";
import { kindOf } from "../../data/kinds.js";
import { COMMON_STEM } from "../../data/readers/manifest-rows.js";
import { PARQUET, splitName } from "../../data/readers/split-files.js";
import { TABLE_EXTENSIONS } from "../../data/readers/table-rows.js";
import { DataError } from "../../errors.js";

/** Undefined for a manifest, which is of several splits. Throws DataError for a file of another form, and for one that another hides. */
export async function splitOfFile(path: string, kind: KindName, where: string): Promise<string | undefined> {
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
