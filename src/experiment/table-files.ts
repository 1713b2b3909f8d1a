/** An experiment's table as text, Markdown, CSV, LaTeX and JSON. The JSON is for programs and has everything; the others show what a reader compares. */
import path from "node:path";
import { alignedText, type Cells, markdownText } from "../report/table.js";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import type { TableRow } from "./summarize.js";

export interface ExperimentTable {
  readonly experiment: string;
  readonly title: string;
  readonly rows: readonly TableRow[];
}

const points = (value: number | null | undefined): string =>
  value === null || value === undefined ? "-" : value.toFixed(1);
const range = ([low, high]: readonly [number, number]): string => `${low.toFixed(1)} to ${high.toFixed(1)}`;

/** The columns that the text forms show. */
export function tableCells({ rows }: ExperimentTable): Cells {
  const tasks = [...new Set(rows.flatMap((row) => Object.keys(row.tasks)))];
  const heading = [
    "method",
    "setting",
    "adapted",
    ...tasks,
    "average",
    "95 %",
    "sd",
    "worst",
    "over averaging",
    "best step",
  ];
  const body = rows.map((row) => [
    row.method,
    row.class === "reference" ? "-" : row.setting,
    row.adapted ?? "-",
    ...tasks.map((task) => points(row.tasks[task])),
    points(row.average),
    range(row.interval),
    row.runs > 1 ? row.deviation.toFixed(1) : "-",
    points(row.worst),
    row.gain === null ? "-" : `${row.gain.points.toFixed(1)} (${range(row.gain.interval)})`,
    row.best === null ? "-" : `${row.best.step}: ${row.best.average.toFixed(1)}`,
  ]);
  return [heading, ...body];
}

export function textOf(table: ExperimentTable): string {
  return `${alignedText(tableCells(table))}\n`;
}

export function markdownOf(table: ExperimentTable): string {
  return `# ${table.title}\n\n${markdownText(tableCells(table))}\n`;
}

/** RFC 4180. */
export function csvOf(table: ExperimentTable): string {
  const quoted = (cell: string) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  return tableCells(table)
    .map((row) => row.map(quoted).join(","))
    .concat("")
    .join("\n");
}

/** A tabular environment with booktabs rules. */
export function latexOf(table: ExperimentTable): string {
  const escaped = (cell: string) =>
    cell.replace(/[\\&%$#_{}~^]/g, (sign) => (sign === "\\" ? "\\textbackslash{}" : `\\${sign}`));
  const [heading = [], ...body] = tableCells(table);
  const line = (row: readonly string[]) => `${row.map(escaped).join(" & ")} \\\\`;
  return [
    `% ${table.title}`,
    `\\begin{tabular}{lll${"r".repeat(Math.max(0, heading.length - 3))}}`,
    "\\toprule",
    line(heading),
    "\\midrule",
    ...body.map(line),
    "\\bottomrule",
    "\\end{tabular}",
    "",
  ].join("\n");
}

/** Writes table.json, table.txt, table.md, table.csv and table.tex into `directory`. */
export async function writeTable(directory: string, table: ExperimentTable): Promise<void> {
  const files: readonly (readonly [string, string])[] = [
    ["table.json", `${JSON.stringify(table, undefined, 2)}\n`],
    ["table.txt", textOf(table)],
    ["table.md", markdownOf(table)],
    ["table.csv", csvOf(table)],
    ["table.tex", latexOf(table)],
  ];
  for (const [name, text] of files) await writeFileAtomic(path.join(directory, name), text);
}
