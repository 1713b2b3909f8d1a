/**
 * The labels of a manifest's rows: names of classes, in the order of the names unless the head's order is known; where a file has a column `split`
 * the names are those of all splits, since a small split need not have an example of each. In tables of texts labels that are all numbers from 0 on
 * mean classes by their numbers, as in parquet, and -1 means none; images' have always been names.
 */
import { DataError } from "../../errors.js";
import type { Dataset, ReadRequest } from "./dataset-reader.js";
import { LABEL_COLUMN, type ManifestRows } from "./manifest-rows.js";
import { readmeNames } from "./parquet-labels.js";
import { readCard } from "./split-files.js";

/** As pandas writes whole numbers beside cells without one: 1.0. */
const NUMBER = /^(?:0|[1-9]\d{0,8})(?:\.0+)?$/;
/** As the hub marks labels that are kept secret. */
const HIDDEN = /^-1(?:\.0+)?$/;

export interface LabelledRows extends ManifestRows {
  readonly split: string;
  readonly where: string;
  /** The first of the files. */
  readonly manifest: string;
  /** Which config the README's names are to be of. */
  readonly config: string | undefined;
}

/** Throws DataError for a row without a label where others have one. */
export async function manifestLabels(
  rows: LabelledRows,
  request: ReadRequest,
): Promise<Pick<Dataset, "labels" | "classes" | "unlabelled">> {
  const { columns, labelNames, labelNumbers, manifest, where, split, place } = rows;
  const areTexts = request.kind.columns.inManifests === "texts";
  const hasNumbers =
    areTexts &&
    labelNames.some((name) => NUMBER.test(name)) &&
    labelNames.every((name) => NUMBER.test(name) || HIDDEN.test(name));
  const isHidden = labelNames.map((name) => areTexts && HIDDEN.test(name) && (hasNumbers || labelNames.length === 1));
  const isLacking = (number: number) => number < 0 || isHidden[number] === true;
  const lacking = labelNumbers.findIndex(isLacking);
  if (columns.label === undefined || lacking >= 0) {
    if (columns.label !== undefined && labelNumbers.some((number) => !isLacking(number)))
      throw new DataError(
        `${where}: ${place(lacking)}: expected a value for ${columns.label}, as other rows of split ${split} have one, found none`,
      );
    const hidden = (labelNumbers[lacking] ?? -1) >= 0;
    const why =
      columns.label === undefined
        ? `columns ${columns.found}`
        : `${hidden ? "only -1" : "nothing"} in column ${columns.label}`;
    return { unlabelled: `${manifest}: expected a column of labels (${LABEL_COLUMN}), found ${why}` };
  }
  const own = labelNames.filter((_, number) => isHidden[number] !== true);
  const numbered = hasNumbers ? own.map(Number) : [];
  const areNames = request.classes !== undefined && own.every((name) => request.classes?.includes(name));
  // Stars from 1 to 5 are names: as numbers there would be a class 0.
  if (hasNumbers && !areNames && (numbered.includes(0) || request.classes !== undefined)) {
    const labels = Int32Array.from(labelNumbers, (number) => Number(labelNames[number]));
    const names = request.classes === undefined ? await namesInReadme(labels, columns.label, rows, request) : undefined;
    return names === undefined ? { labels } : { labels, classes: names };
  }
  const classes = hasNumbers ? own.toSorted((a, b) => Number(a) - Number(b)) : own.toSorted();
  const numbers = new Map(classes.map((name, number) => [name, number]));
  return { classes, labels: Int32Array.from(labelNumbers, (number) => numbers.get(labelNames[number] ?? "") ?? 0) };
}

async function namesInReadme(
  labels: Int32Array,
  column: string,
  { config }: LabelledRows,
  { path }: ReadRequest,
): Promise<readonly string[] | undefined> {
  const names = readmeNames((await readCard(path)) ?? "", { column, config });
  return names !== undefined && labels.every((label) => label < names.length) ? names : undefined;
}
