/**
 * Brings a data set's labels into the order of a head's classes. A head's row c and label c must mean the
 * same class, or accuracy is silently that of another problem.
 */
import { DataError } from "../errors.js";
import type { Dataset } from "./readers/dataset-reader.js";

/** Names shown in an error before the rest is only counted. */
const MAX_SHOWN_NAMES = 5;

/** Numbers of classes are counted up to the highest; a mistaken column has others. */
const MAX_CLASSES = 1_000_000;

/** The names of a labelled data set's classes; numbers without names are their own names. Throws DataError for numbers that are no classes. */
export function classNames({ classes, labels = new Int32Array() }: Dataset, where: string): readonly string[] {
  if (classes !== undefined) return classes;
  const highest = labels.reduce((most, label) => Math.max(most, label), 0);
  if (highest >= MAX_CLASSES)
    throw new DataError(
      `${where}: expected labels below ${MAX_CLASSES}, found ${highest}; is the column of labels another one?`,
    );
  return Array.from({ length: highest + 1 }, (_, number) => String(number));
}

/** What says which class a label is: the data set's name of it, or its number. */
export type LabelMeaning = "name" | "number";

/**
 * `dataset` with `classes` as its classes and its labels renumbered to match by name. A data set that does not name
 * its classes must already use that order, as one whose labels are meant by number; its labels are checked for range. Classes that the data set
 * has no images of are fine. Throws DataError when it has others, or names that contradict its numbers.
 */
export function alignClasses(
  dataset: Dataset,
  classes: readonly string[],
  where: string,
  meaning: LabelMeaning = "name",
): Dataset {
  const { labels } = dataset;
  if (labels === undefined) return { ...dataset, classes };
  if (meaning === "number") {
    checkOrder(dataset, classes, where);
    checkRange(dataset, classes.length, where);
    return { ...dataset, classes };
  }
  const order = dataset.classes === undefined ? undefined : matchNames(dataset.classes, classes, dataset, where);
  checkRange(dataset, (dataset.classes ?? classes).length, where);
  return { ...dataset, classes, labels: order === undefined ? labels : labels.map((label) => order[label] ?? 0) };
}

/** Throws DataError when a label is not below the number of classes. */
export function checkRange(dataset: Dataset, classCount: number, where: string): void {
  const index = dataset.labels?.findIndex((label) => label >= classCount) ?? -1;
  if (index < 0) return;
  throw new DataError(
    `${where}: ${dataset.locate(index)}: expected a label 0 to ${classCount - 1} (${classCount} classes), ` +
      `found ${dataset.labels?.[index]}; do the head and the data set belong together?`,
  );
}

/** Labels that are meant by number: the data set may call its classes otherwise, but not have the same names in another order, nor more of them. */
function checkOrder({ classes: own, ...dataset }: Dataset, classes: readonly string[], where: string): void {
  if (own === undefined) return;
  const place = `${where}: ${dataset.name}, split ${dataset.split}`;
  if (own.length > classes.length)
    throw new DataError(
      `${place}: expected at most the head's ${classes.length} classes, found ${own.length}; do the head and the data set belong together?`,
    );
  const known = new Set(classes);
  const differs = own.findIndex((name, position) => name !== classes[position]);
  if (differs >= 0 && own.every((name) => known.has(name)))
    throw new DataError(
      `${place}: expected label ${differs} to be ${classes[differs]} (labels are meant by number), found ${own[differs]}: the same names in another order; say \`labels: name\` in the task's dataset, or bring \`classes\` into its order`,
    );
}

/** Position in `classes` of every class of the data set. */
function matchNames(
  own: readonly string[],
  classes: readonly string[],
  dataset: Dataset,
  where: string,
): readonly number[] {
  const positions = new Map(classes.map((name, position) => [name, position]));
  const unknown = own.filter((name) => !positions.has(name));
  const known = new Set(own);
  const absent = classes.filter((name) => !known.has(name));
  if (unknown.length === 0) return own.map((name) => positions.get(name) ?? 0);
  const parts = [
    `only in the data set: ${shown(unknown)}`,
    ...(absent.length > 0 ? [`only in the head: ${shown(absent)}`] : []),
  ];
  throw new DataError(
    `${where}: ${dataset.name}, split ${dataset.split}: expected the head's ${classes.length} classes, ` +
      `found ${own.length} that differ (${parts.join("; ")}); rename them alike, or, if its labels are the numbers of the head's classes, say \`labels: number\` in the task's dataset`,
  );
}

function shown(names: readonly string[]): string {
  const rest = names.length - MAX_SHOWN_NAMES;
  return `${names.slice(0, MAX_SHOWN_NAMES).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}
