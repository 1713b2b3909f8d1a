/** Cells as CSV (RFC 4180), which spreadsheets open without computing anything. Reading CSV is data/csv-manifest.ts. */
import type { Cells } from "./table.js";

/**
 * What a spreadsheet takes for a formula. A number with a sign is none, whatever text follows, as in `-0.9 (-1.5 to
 * -0.3)`, but for an operator: `-1+cmd` is one. Nor is a dash.
 */
const FORMULA = /^[=@\t\r]|^[+-](?!(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?%?(?![\d.e%])(?!\s*[-+*/^&=<>!|:])|$|infinity$)/i;

/** Lines of cells. A cell that would be a formula has an apostrophe in front, by which spreadsheets take it for text. */
export function csvText(cells: Cells): string {
  return cells.map((line) => `${line.map(csvCell).join(",")}\n`).join("");
}

function csvCell(cell: string): string {
  const text = FORMULA.test(cell) ? `'${cell}` : cell;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
