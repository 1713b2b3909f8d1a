/** Tables for terminals and Markdown: results by method and task, and any other cells. */
import { shownLine } from "../runtime/printable.js";
import { markdownLine } from "./markdown.js";
import { isEntropy, type ResultRow } from "./summary.js";

/** Cells of a table, the first row its heading. Columns after the first are numbers and stand right-aligned. */
export type Cells = readonly (readonly string[])[];

/** Between two columns of `alignedText`, in characters. */
export const GAP = 2;
const DECIMALS = 2;
/** Of entropies in nats. */
const ENTROPY_DECIMALS = 3;

/**
 * Results as cells: method, one column per task, average. Tasks stand in the order they first appear; a task
 * that a row lacks shows `-`.
 */
export function resultCells(rows: readonly ResultRow[]): Cells {
  const tasks = [...new Set(rows.flatMap((row) => Object.keys(row.tasks)))];
  const decimals = isEntropy(rows) ? ENTROPY_DECIMALS : DECIMALS;
  const body = rows.map((row) => [
    row.method,
    ...tasks.map((task) => number(Object.hasOwn(row.tasks, task) ? row.tasks[task] : undefined, decimals)),
    number(row.average, decimals),
  ]);
  return [[isEntropy(rows) ? "entropy (nats)" : "method", ...tasks, "average"], ...body];
}

/** The table of results as Markdown (GitHub's), without a newline at the end. */
export function markdownTable(rows: readonly ResultRow[]): string {
  return markdownText(resultCells(rows));
}

/** Cells as text in columns two spaces apart, a rule under the heading. */
export function alignedText(given: Cells): string {
  const cells = given.map((row) => row.map(shownLine));
  const widths = columnWidths(cells);
  const line = (row: readonly string[]) =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? "";
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join(" ".repeat(GAP))
      .trimEnd();
  const [heading = [], ...body] = cells;
  return [line(heading), widths.map((width) => "-".repeat(width)).join(" ".repeat(GAP)), ...body.map(line)].join("\n");
}

/** Cells as a Markdown table. */
export function markdownText(cells: Cells): string {
  const escaped = cells.map((row) => row.map((cell) => markdownLine(cell.replace(/\s+/g, " "))));
  const [heading = [], ...body] = escaped;
  const line = (row: readonly string[]) => `| ${row.join(" | ")} |`;
  const rule = heading.map((_, column) => (column === 0 ? "---" : "---:"));
  return [line(heading), line(rule), ...body.map(line)].join("\n");
}

/** Characters of the widest cell of each column. */
export function columnWidths(cells: Cells): number[] {
  const columns = Math.max(0, ...cells.map((row) => row.length));
  return Array.from({ length: columns }, (_, column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
}

function number(value: number | undefined, decimals: number): string {
  return value === undefined || !Number.isFinite(value) ? "-" : value.toFixed(decimals);
}
