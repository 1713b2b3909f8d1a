/** Predictions as text, a row at a time: columns for people, CSV and JSON lines for programs. */
import type { PredictionRow } from "../index.js";
import { csvText } from "../report/csv.js";
import { shownLine } from "../runtime/printable.js";
import { folded } from "./folded.js";

export const FORMATS = ["table", "csv", "jsonl"] as const;

interface PredictionText {
  /** Before the first row. */
  readonly heading: string;
  /** One row with its line end: a line for each prediction, or one in JSON lines. */
  row(row: PredictionRow): string;
}

/** "100.0 %" */
const PERCENT_WIDTH = 7;
/** As many as float32 has. */
const DIGITS = 7;
const GAP = "  ";
/** Columns of the terminal that stay for the example where the names of classes are long. */
const LEAST_EXAMPLE = 24;
/** Of those, what a name is never cut below: the heading `label`. */
const LEAST_NAME = 5;

/**
 * `classes`: those of each head, which decide how wide columns are before there is a row. `columns`: of the terminal,
 * where it is one; no line is wider.
 */
export function predictionText(
  format: (typeof FORMATS)[number],
  classes: ReadonlyMap<string, readonly string[]>,
  columns?: number,
): PredictionText {
  switch (format) {
    case "table":
      return table(classes, columns);
    case "csv":
      return {
        heading: csvText([["source", "task", "rank", "label", "probability", "error"]]),
        row: (row) => csvText(csvCells(row)),
      };
    case "jsonl":
      return { heading: "", row: (row) => `${JSON.stringify(rounded(row))}\n` };
    default:
      return format satisfies never;
  }
}

function csvCells(row: PredictionRow): string[][] {
  if ("error" in row) return [[row.source, "", "", "", "", row.error]];
  return row.predictions.flatMap(({ task, labels }) =>
    labels.map(({ label, probability }, index) => [
      ...[row.source, task, String(index + 1), label, shownProbability(probability), ""],
    ]),
  );
}

function rounded(row: PredictionRow): object {
  if ("error" in row) return row;
  const predictions = row.predictions.map(({ task, labels }) => ({
    task,
    labels: labels.map(({ label, probability }) => ({ label, probability: Number(shownProbability(probability)) })),
  }));
  return { source: row.source, predictions };
}

function shownProbability(probability: number): string {
  return String(Number(probability.toPrecision(DIGITS)));
}

/**
 * What has no fixed width, the example, stands last. A single head is not named. In a terminal names are cut at their
 * ends, places of examples at their beginnings, and what is wrong with one goes on in the lines below.
 */
function table(classes: ReadonlyMap<string, readonly string[]>, columns: number | undefined): PredictionText {
  const tasks = [...classes.keys()];
  const widths = columnWidths(tasks.length === 1 ? [] : tasks, [...classes.values()].flat(), columns ?? Infinity);
  const line = (task: string, label: string, probability: string, example: string) => {
    const cells = [cut(label, widths.label).padEnd(widths.label), probability.padStart(PERCENT_WIDTH), example];
    const named = widths.task === 0 ? cells : [cut(task, widths.task).padEnd(widths.task), ...cells];
    return `${named.join(GAP).trimEnd()}\n`;
  };
  return {
    heading: line("task", "label", "%", "example"),
    row: (row) => {
      if ("error" in row) {
        const [first = "", ...more] = folded(shownLine(`${row.source}: ${row.error}`), widths.example);
        return [line("-", "-", "-", first), ...more.map((part) => line("", "", "", part))].join("");
      }
      const place = cutInFront(shownLine(row.source), widths.example);
      return row.predictions
        .flatMap(({ task, labels }) =>
          labels.map(({ label, probability }) => line(task, label, `${(100 * probability).toFixed(1)} %`, place)),
        )
        .join("");
    },
  };
}

/** `task` is 0 where it is not shown. */
function columnWidths(tasks: readonly string[], labels: readonly string[], columns: number) {
  const longest = (names: readonly string[], heading: string): number =>
    names.reduce((most, name) => Math.max(most, shownLine(name).length), heading.length);
  const least = (width: number, room: number) => Math.min(width, Math.max(LEAST_NAME, room));
  const quarter = Math.floor(columns / 4);
  const task = tasks.length === 0 ? 0 : least(longest(tasks, "task"), quarter);
  const taken = PERCENT_WIDTH + (task === 0 ? 2 : 3) * GAP.length + task;
  const label = least(longest(labels, "label"), columns - taken + GAP.length - LEAST_EXAMPLE);
  return { task, label, example: Math.max(LEAST_NAME, columns - taken - label) };
}

function cut(name: string, width: number): string {
  const shown = shownLine(name);
  return shown.length <= width ? shown : `${shown.slice(0, width - 1)}…`;
}

/** The end of a path says which file it is. */
function cutInFront(place: string, width: number): string {
  return place.length <= width ? place : `…${place.slice(place.length - width + 1)}`;
}
