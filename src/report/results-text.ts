/**
 * Results for the terminal: what matters first (average, difference to averaging, share of the experts), then the tasks, in blocks of columns
 * where the terminal is narrower than the table. The best single model of each column is bold.
 */
import pc from "picocolors";
import { shownLine } from "../runtime/printable.js";
import { signed } from "../runtime/signed.js";
import { AVERAGING, isEntropy, isReference, type ResultRow, rowOf, shareOfExperts } from "./summary.js";
import { alignedText, type Cells, columnWidths, GAP, resultCells } from "./table.js";

export interface TableSpace {
  /** Of the terminal; no limit elsewhere, where lines do not wrap. */
  readonly columns?: number | undefined;
  readonly color?: boolean | undefined;
}

/** The table without a newline at the end. Numbers as in the tables of reports. */
export function resultsText(rows: readonly ResultRow[], space: TableSpace = {}): string {
  const cells = withSummaryFirst(rows);
  return fittedText(cells, space, isEntropy(rows) ? new Map() : bestRows(rows, cells));
}

/** Any cells in blocks of columns, each with the first column; bold where `best` has the row of a column. */
export function fittedText(
  given: Cells,
  { columns = Number.POSITIVE_INFINITY, color = false }: TableSpace,
  best: ReadonlyMap<number, number> = new Map(),
): string {
  const cells = given.map((row) => row.map(shownLine));
  const { bold } = pc.createColors(color);
  return blocksOf(cells, columns)
    .map((block) => {
      const [heading = "", rule = "", ...body] = alignedText(cells.map((row) => block.map((c) => row[c] ?? ""))).split(
        "\n",
      );
      const places = placesOf(rule);
      const marked = body.map((line, row) => {
        const own = places.filter((_, index) => best.get(block[index] ?? -1) === row).toReversed();
        return own.reduce(
          (text, [from, to]) => text.slice(0, from) + bold(text.slice(from, to)) + text.slice(to),
          line,
        );
      });
      return [heading, rule, ...marked].join("\n");
    })
    .join("\n\n");
}

/** Where the columns begin and end, by the rule under the heading. */
function placesOf(rule: string): readonly (readonly [number, number])[] {
  return [...rule.matchAll(/-+/g)].map(({ index, 0: dashes }) => [index, index + dashes.length] as const);
}

/** Method, average, what stands beside it, tasks. */
function withSummaryFirst(rows: readonly ResultRow[]): Cells {
  const [heading = [], ...body] = resultCells(rows);
  const averaging = isEntropy(rows) ? undefined : rowOf(rows, AVERAGING);
  const hasShare = rows.some((row) => shareOfExperts(row, rows) !== undefined);
  const hasDifference = averaging !== undefined && rows.length > 1;
  const arranged = (cells: readonly string[], difference: string, share: string): string[] => [
    cells[0] ?? "",
    cells.at(-1) ?? "",
    ...(hasDifference ? [difference] : []),
    ...(hasShare ? [share] : []),
    ...cells.slice(1, -1),
  ];
  return [
    arranged(heading, "vs averaging", "of experts"),
    ...body.map((cells, index) => {
      const row = rows[index];
      if (row === undefined) return arranged(cells, "", "");
      const share = shareOfExperts(row, rows);
      const difference = row === averaging ? "" : pointsOver(row.average - (averaging?.average ?? Number.NaN));
      return arranged(cells, difference, share === undefined ? "-" : `${share.toFixed(1)} %`);
    }),
  ];
}

function pointsOver(points: number): string {
  return Number.isFinite(points) ? signed(points, 2) : "-";
}

/** Column to the row (of the body) with its greatest number among merged models; none where they are alike or there is one alone. */
function bestRows(rows: readonly ResultRow[], cells: Cells): Map<number, number> {
  const merged = rows.flatMap(({ method }, index) => (isReference(method) ? [] : [index]));
  const best = new Map<number, number>();
  for (let column = 1; column < (cells[0]?.length ?? 0); column++) {
    const numberOf = (row: number): number => Number.parseFloat(cells[row + 1]?.[column] ?? "");
    const sorted = merged.filter((row) => Number.isFinite(numberOf(row))).toSorted((a, b) => numberOf(b) - numberOf(a));
    const [first, second] = sorted;
    if (first !== undefined && second !== undefined && numberOf(first) > numberOf(second)) best.set(column, first);
  }
  return best;
}

/** Columns of each block: the first and as many others as fit, one at least. */
function blocksOf(cells: Cells, columns: number): number[][] {
  const widths = columnWidths(cells);
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
