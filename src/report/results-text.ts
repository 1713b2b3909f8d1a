/**
 * Results for the terminal: what matters first (average, difference to averaging, share of the experts), then the tasks, in blocks of columns
 * where the terminal is narrower than the table. The best single model of each column is bold.
 */
import pc from "picocolors";
import { shownLine } from "../runtime/printable.js";
import { isEntropy, type ResultRow } from "./summary.js";
import { type Cells, resultCells } from "./table.js";

export interface TableSpace {
  /** Of the terminal; no limit elsewhere, where lines do not wrap. */
  readonly columns?: number | undefined;
  readonly color?: boolean;
}

const AVERAGING = "weight_averaging";
/** Many models, one for each task: what a single one is read against. */
const EXPERTS = "individual";
const GAP = 2;

/** The table without a newline at the end. Numbers as in `textTable`. */
export function resultsText(
  rows: readonly ResultRow[],
  { columns = Number.POSITIVE_INFINITY, color = false }: TableSpace,
): string {
  const cells = withSummaryFirst(rows).map((row) => row.map(shownLine));
  const best = isEntropy(rows) ? new Map<number, number>() : bestRows(rows, cells);
  const colors = pc.createColors(color);
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[], block: readonly number[], number: number | undefined): string =>
    block
      .map((column) => {
        const cell = row[column] ?? "";
        const width = widths[column] ?? 0;
        const padded = column === 0 ? cell.padEnd(width) : cell.padStart(width);
        return number !== undefined && best.get(column) === number ? colors.bold(padded) : padded;
      })
      .join(" ".repeat(GAP))
      .trimEnd();
  return blocksOf(widths, columns)
    .map((block) => {
      const rule = block.map((column) => "-".repeat(widths[column] ?? 0)).join(" ".repeat(GAP));
      const [heading = [], ...body] = cells;
      return [line(heading, block, undefined), rule, ...body.map((row, index) => line(row, block, index))].join("\n");
    })
    .join("\n\n");
}

/** Method, average, what stands beside it, tasks. */
function withSummaryFirst(rows: readonly ResultRow[]): Cells {
  const cells = resultCells(rows);
  const averaging = isEntropy(rows) ? undefined : rows.find(({ method }) => method === AVERAGING);
  const experts = isEntropy(rows) ? undefined : rows.find(({ method }) => method === EXPERTS);
  return cells.map(([method = "", ...numbers], index) => {
    const tasks = numbers.slice(0, -1);
    const average = numbers.at(-1) ?? "";
    const own = rows[index - 1]?.average ?? Number.NaN;
    const difference = index === 0 ? "- averaging" : signed(own - (averaging?.average ?? Number.NaN));
    const share = index === 0 ? "of experts" : percent((100 * own) / (experts?.average ?? Number.NaN));
    return [
      method,
      average,
      ...(averaging === undefined ? [] : [index > 0 && rows[index - 1] === averaging ? "" : difference]),
      ...(experts === undefined ? [] : [share]),
      ...tasks,
    ];
  });
}

function signed(points: number): string {
  return Number.isFinite(points) ? `${points < 0 ? "" : "+"}${points.toFixed(2)}` : "-";
}

function percent(value: number): string {
  return Number.isFinite(value) ? `${value.toFixed(0)} %` : "-";
}

/** Column to the row (of the body) with its greatest number, the experts apart; none where rows are alike or there is one alone. */
function bestRows(rows: readonly ResultRow[], cells: Cells): Map<number, number> {
  const single = rows.flatMap(({ method }, index) => (method === EXPERTS ? [] : [index]));
  const best = new Map<number, number>();
  for (let column = 1; column < (cells[0]?.length ?? 0); column++) {
    const numberOf = (row: number): number => Number.parseFloat(cells[row + 1]?.[column] ?? "");
    const sorted = single.filter((row) => Number.isFinite(numberOf(row))).sort((a, b) => numberOf(b) - numberOf(a));
    const [first, second] = sorted;
    if (first !== undefined && second !== undefined && numberOf(first) > numberOf(second)) best.set(column, first);
  }
  return best;
}

/** Columns of each block: the method and as many others as fit, one at least. */
function blocksOf(widths: readonly number[], columns: number): number[][] {
  const blocks: number[][] = [];
  let used = 0;
  for (let column = 1; column < widths.length; column++) {
    const width = GAP + (widths[column] ?? 0);
    if (blocks.length === 0 || used + width > columns) {
      blocks.push([0]);
      used = widths[0] ?? 0;
    }
    blocks.at(-1)?.push(column);
    used += width;
  }
  return blocks.length === 0 ? [[0]] : blocks;
}
