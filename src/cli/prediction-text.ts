/** Predictions as text, a row at a time: columns for people, CSV and JSON lines for programs. */
import type { PredictionRow } from "../index.js";
import { csvText } from "../report/csv.js";
import { shownLine } from "../runtime/printable.js";

export const FORMATS = ["table", "csv", "jsonl"] as const;

interface PredictionText {
  /** Before the first row. */
  readonly heading: string;
  /** One row with its line end: a line for each prediction, or one in JSON lines. */
  row(row: PredictionRow): string;
}

/** Longer names of classes push what is behind them aside. */
const MOST_LABEL = 40;
/** "100.0 %" */
const PERCENT_WIDTH = 7;
/** As many as float32 has. */
const DIGITS = 7;

/** `classes`: those of each head, which decide how wide columns are before there is a row. */
export function predictionText(
  format: (typeof FORMATS)[number],
  classes: ReadonlyMap<string, readonly string[]>,
): PredictionText {
  switch (format) {
    case "table":
      return table(classes);
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

/** What has no fixed width, the example, stands last. A single head is not named. */
function table(classes: ReadonlyMap<string, readonly string[]>): PredictionText {
  const tasks = [...classes.keys()];
  const widthOf = (names: readonly string[], least: string) =>
    Math.max(least.length, ...names.map((name) => Math.min(MOST_LABEL, shownLine(name).length)));
  const taskWidth = tasks.length === 1 ? 0 : widthOf(tasks, "task");
  const labelWidth = widthOf([...classes.values()].flat(), "label");
  const line = (task: string, label: string, probability: string, source: string) => {
    const cells = [shownLine(label).padEnd(labelWidth), probability.padStart(PERCENT_WIDTH), shownLine(source)];
    return `${[...(taskWidth === 0 ? [] : [shownLine(task).padEnd(taskWidth)]), ...cells].join("  ")}\n`;
  };
  return {
    heading: line("task", "label", "%", "example"),
    row: (row) => {
      if ("error" in row) return line("-", "-", "-", `${row.source}: ${row.error}`);
      return row.predictions
        .flatMap(({ task, labels }) =>
          labels.map(({ label, probability }) => line(task, label, `${(100 * probability).toFixed(1)} %`, row.source)),
        )
        .join("");
    },
  };
}
