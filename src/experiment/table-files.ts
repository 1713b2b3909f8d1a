/** An experiment's table as text, Markdown, CSV, LaTeX and JSON. The JSON is for programs and has everything; the others show what a reader compares. */
import path from "node:path";
import { csvText } from "../report/csv.js";
import { markdownLine } from "../report/markdown.js";
import { fittedText, type TableSpace } from "../report/results-text.js";
import { alignedText, type Cells, markdownText } from "../report/table.js";
import { writeFileAtomic } from "../runtime/atomic-file.js";
import { signed } from "../runtime/signed.js";
import { latexComment, latexText } from "./latex.js";
import { type OrderAgreement, orderText } from "./method-order.js";
import { examplesOf, type TableRow } from "./table-row.js";
import { pointText } from "./vary.js";

/** What a row is called where one name must do. */
export function labelOf(row: TableRow): string {
  const { setting, adapted, class: needs } = row;
  const parts = [needs === "reference" ? undefined : setting, adapted ?? undefined].filter(
    (part) => part !== undefined,
  );
  return parts.length === 0 ? nameOf(row) : `${nameOf(row)} (${parts.join(", ")})`;
}

/** The row's name, and where it stands on its curve. */
function nameOf({ method, point }: TableRow): string {
  return point === null ? method : `${method} ${pointText(point)}`;
}

/** The table of an experiment. */
export interface ExperimentTable {
  readonly experiment: string;
  readonly title: string;
  readonly rows: readonly TableRow[];
  /** Beside results on other tasks; absent in tables from before they were compared. */
  readonly order?: readonly OrderAgreement[];
}

const points = (value: number | null | undefined): string =>
  value === null || value === undefined ? "-" : value.toFixed(1);
const difference = (value: number | null | undefined): string =>
  value === null || value === undefined ? "-" : signed(value, 1);
const range = ([low, high]: readonly [number, number]): string => `${low.toFixed(1)} to ${high.toFixed(1)}`;

/** The columns that are the same in all forms: which row this is. */
const naming = (row: TableRow): string[] => [
  nameOf(row),
  row.class === "reference" ? "-" : row.setting,
  row.adapted ?? "-",
];
const NAMING = ["method", "setting", "adapted"];
/** The first column of the summary, which stands behind those of the tasks. */
const AVERAGE = "average";

/** Accuracies: what a reader compares. */
export function tableCells({ rows }: ExperimentTable): Cells {
  const tasks = [...new Set(rows.flatMap((row) => Object.keys(row.tasks)))];
  const parts = [...new Set(rows.flatMap((row) => Object.keys(row.averages)))];
  const others = [...new Set(rows.flatMap(({ reported }) => reported.map(({ by }) => by)))];
  const heading = [
    ...NAMING,
    ...tasks,
    ...parts,
    AVERAGE,
    "95 %",
    "sd",
    "worst",
    "normalized",
    "over averaging",
    "below",
    "best step",
    "rank",
    ...others.flatMap((by) => [by, "+/-"]),
  ];
  const body = rows.map((row) => [
    ...naming(row),
    ...tasks.map((task) => points(row.tasks[task])),
    ...parts.map((part) => points(row.averages[part])),
    points(row.average),
    range(row.interval),
    row.runs > 1 ? row.deviation.toFixed(1) : "-",
    points(row.worst),
    points(row.normalized),
    row.gain === null ? "-" : `${row.gain.points.toFixed(1)} (${range(row.gain.interval)})`,
    whole(row.tasksBelow),
    row.best === null ? "-" : `${row.best.step}: ${row.best.average.toFixed(1)}`,
    whole(row.rank),
    ...others.flatMap((by) => {
      const theirs = row.reported.find((entry) => entry.by === by);
      return [points(theirs?.average), difference(theirs?.difference)];
    }),
  ]);
  return [heading, ...body];
}

/** What each row needed to get there, and how sure its predictions are. */
export function needsCells({ rows }: ExperimentTable): Cells {
  const heading = [
    ...NAMING,
    "class",
    "labels for",
    "evaluations",
    `${examplesOf(rows)} shown`,
    "different",
    "extra KB",
    "entropy",
    "calibration error",
    "suites",
    "runs",
    "seconds",
    "settings",
  ];
  const body = rows.map((row) => [
    ...naming(row),
    row.class,
    row.labels,
    whole(row.evaluations),
    whole(row.images),
    whole(row.imagesUnique),
    row.extraBytes === null ? "-" : Math.round(row.extraBytes / 1000).toString(),
    row.entropy === null ? "-" : row.entropy.toFixed(3),
    points(row.calibration),
    whole(row.suites),
    whole(row.runs),
    whole(row.seconds),
    Object.entries(row.settings)
      .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
      .join(" ") || "-",
  ]);
  return [heading, ...body];
}

const whole = (value: number | null): string => (value === null ? "-" : Math.round(value).toString());

/** How to read the columns. */
export function legendOf({ rows, order = [] }: ExperimentTable): string {
  const examples = examplesOf(rows);
  return (
    `Accuracies in percent. 95 %: bootstrap over ${examples}. normalized: over the expert's. over averaging: difference to weight averaging, paired. ` +
    `below: tasks below weight averaging. best step: of the mean curve, chosen on the judged ${examples}. rank: among rows that need the same, on as many suites. ` +
    `+/-: ours less the average that others report for this row. ${orderText(order)}`.trimEnd()
  );
}

export function textOf(table: ExperimentTable): string {
  return `${alignedText(tableCells(table))}\n\n${alignedText(needsCells(table))}\n\n${legendOf(table)}\n`;
}

/** For a terminal: each row by its whole name, the summary before the tasks, no line wider than the terminal but the legend. */
export function fittedTextOf(table: ExperimentTable, space: TableSpace): string {
  const named = (cells: Cells): Cells =>
    cells.map((row, index) => {
      const own = table.rows[index - 1];
      return [own === undefined ? "method" : labelOf(own), ...row.slice(NAMING.length)];
    });
  const accuracies = named(tableCells(table));
  const [heading = []] = accuracies;
  const from = heading.indexOf(AVERAGE);
  const summaryFirst = accuracies.map(([name = "", ...rest]) => [
    name,
    ...rest.slice(from - 1),
    ...rest.slice(0, from - 1),
  ]);
  const parts = [fittedText(summaryFirst, space), fittedText(named(needsCells(table)), space), legendOf(table)];
  return `${parts.join("\n\n")}\n`;
}

export function markdownOf(table: ExperimentTable): string {
  const parts = [
    `# ${markdownLine(table.title)}`,
    markdownText(tableCells(table)),
    markdownText(needsCells(table)),
    legendOf(table),
  ];
  return `${parts.join("\n\n")}\n`;
}

/** Both tables in one, side by side. */
export function csvOf(table: ExperimentTable): string {
  const needs = needsCells(table);
  return csvText(tableCells(table).map((row, index) => [...row, ...(needs[index] ?? []).slice(NAMING.length)]));
}

/** A tabular environment with booktabs rules. */
export function latexOf(table: ExperimentTable): string {
  const [heading = [], ...body] = tableCells(table);
  const line = (row: readonly string[]) => `${row.map(latexText).join(" & ")} \\\\`;
  return [
    latexComment(table.title),
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
