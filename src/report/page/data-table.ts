/**
 * Tables of a report: columns that say what they are, numbers that sort by their value and not by their text, the best in bold. They are complete as
 * they stand; report-page/ adds sorting and filters in the browser.
 */
import { escapeHtml } from "../html.js";
import { fixed, NONE, signed } from "./numbers.js";

/** What stands in a cell: a text, or more. */
export type Cell =
  | string
  | {
      readonly text: string;
      /** By which it sorts and competes, where that is a number. */
      readonly value?: number | undefined;
      /** In place of the text, where that is not all. */
      readonly html?: string;
      readonly tone?: "good" | "bad" | undefined;
      /** 0 to 1: a bar behind the number. */
      readonly share?: number;
    };

export interface Column<Row> {
  readonly heading: string;
  /** Shared by neighbours, above their headings. */
  readonly group?: string;
  /** What the column is, for who points at its heading. */
  readonly tip?: string;
  readonly isNumber?: boolean;
  /** Rows can be chosen by its values. */
  readonly isChoice?: boolean;
  /** Which end of it is in bold. */
  readonly best?: "highest" | "lowest";
  readonly name?: "settings";
  readonly cell: (row: Row) => Cell;
}

export interface DataTable<Row> {
  /** What it is, for who does not see it. */
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  /** Rows compete for the best within a contest; undefined: the row does not compete. */
  readonly contest?: (row: Row) => string | undefined;
  /** A row that the report is about, or that stands beside the others for comparison. */
  readonly kind?: (row: Row) => "own" | "aside" | undefined;
}

export function dataTable<Row>(table: DataTable<Row>): string {
  const { label, columns, rows, kind } = table;
  const best = columns.map((column) => bestTexts(column, table));
  const body = rows.map((row) => {
    const cells = columns.map((column, index) => {
      const tag = index === 0 ? "th" : "td";
      const isBest = best[index]?.has(`${table.contest?.(row) ?? ""}\n${textOf(column.cell(row))}`) === true;
      return bodyCell(column.cell(row), column, tag, isBest && competes(table, row), starts(columns, index));
    });
    const name = kind?.(row);
    return `<tr${name === undefined ? "" : ` class="${name}"`}>${cells.join("")}</tr>`;
  });
  return [
    `<div class="scroll" role="region" tabindex="0" aria-label="${escapeHtml(label)}"><table class="data">`,
    `<thead>${groupRow(columns)}<tr>${columns.map((column, index) => heading(column, starts(columns, index))).join("")}</tr></thead>`,
    `<tbody>\n${body.join("\n")}\n</tbody>\n</table></div>`,
  ].join("\n");
}

/** A number of so many decimals. */
export function numberCell(value: number | null | undefined, decimals = 1, share?: number): Cell {
  const text = fixed(value, decimals);
  if (value === null || value === undefined || text === NONE) return NONE;
  return { text, value, ...(share === undefined ? {} : { share }) };
}

/** A difference in points, coloured by whether it is welcome. */
export function differenceCell(value: number | null | undefined): Cell {
  const text = signed(value);
  if (value === null || value === undefined || text === NONE) return NONE;
  const tone = Number(value.toFixed(1)) === 0 ? undefined : value > 0 ? "good" : "bad";
  return { text, value, tone };
}

/** Settings in their sections: `optimizer learning_rate=0.001`. */
export function settingsCell(settings: Readonly<Record<string, string>>): Cell {
  const entries = Object.entries(settings);
  if (entries.length === 0) return NONE;
  const html = entries.map(([key, value]) => `<span>${escapeHtml(`${key}=${value}`)}</span>`).join(" ");
  return { text: entries.map(([key, value]) => `${key}=${value}`).join(" "), html };
}

/** The share of a value in the greatest of all, from 0 on, so that twice the bar is twice the value; from the least where that is below 0. */
export function shareIn(values: readonly number[]): (value: number) => number {
  const finite = values.filter(Number.isFinite);
  const [low, high] = [Math.min(0, ...finite), Math.max(0, ...finite)];
  return (value) => (high > low ? (value - low) / (high - low) : 0);
}

/** Long names may break after what joins their words. */
const breakable = (text: string): string => escapeHtml(text).replaceAll(/[_/+=](?=\w)/g, "$&<wbr>");

const textOf = (cell: Cell): string => (typeof cell === "string" ? cell : cell.text);
const numberOf = (cell: Cell): number | undefined => (typeof cell === "string" ? undefined : cell.value);
const competes = <Row>({ contest }: DataTable<Row>, row: Row): boolean =>
  contest === undefined || contest(row) !== undefined;

/** `contest\ntext` of the best cells of a column: what is shown alike is equally good. */
function bestTexts<Row>({ best, cell }: Column<Row>, table: DataTable<Row>): Set<string> {
  if (best === undefined) return new Set();
  const contests = new Map<string, Row[]>();
  for (const row of table.rows.filter((each) => competes(table, each))) {
    const name = table.contest?.(row) ?? "";
    contests.set(name, [...(contests.get(name) ?? []), row]);
  }
  const sign = best === "highest" ? 1 : -1;
  return new Set(
    [...contests].flatMap(([name, rows]) => {
      const cells = rows.map(cell).filter((shown) => numberOf(shown) !== undefined);
      if (cells.length < 2) return [];
      const [first] = cells.sort((a, b) => sign * ((numberOf(b) ?? 0) - (numberOf(a) ?? 0)));
      return first === undefined ? [] : [`${name}\n${textOf(first)}`];
    }),
  );
}

/** Whether a group of columns begins here. */
function starts<Row>(columns: readonly Column<Row>[], index: number): boolean {
  return columns.some(({ group }) => group !== undefined) && columns[index]?.group !== columns[index - 1]?.group;
}

function groupRow<Row>(columns: readonly Column<Row>[]): string {
  if (columns.every(({ group }) => group === undefined)) return "";
  const cells: string[] = [];
  for (let from = 0; from < columns.length; ) {
    let to = from + 1;
    while (to < columns.length && !starts(columns, to)) to++;
    const name = escapeHtml(columns[from]?.group ?? "");
    // The first column stays in view by itself, so its group ends with it.
    if (from === 0 && to > 1) {
      cells.push(`<th scope="colgroup">${name}</th>`, `<th scope="colgroup" colspan="${to - 1}"></th>`);
    } else cells.push(`<th scope="colgroup" class="starts" colspan="${to - from}">${name}</th>`);
    from = to;
  }
  return `<tr class="groups">${cells.join("")}</tr>`;
}

function heading<Row>({ heading: text, tip, isNumber, isChoice }: Column<Row>, isStart: boolean): string {
  const attributes = [
    ...(isStart ? [' class="starts"'] : []),
    ...(isNumber === true ? [' data-kind="number"'] : []),
    ...(isChoice === true ? [" data-filter"] : []),
    ...(tip === undefined ? [] : [` title="${escapeHtml(tip)}"`]),
  ];
  return `<th scope="col"${attributes.join("")}>${escapeHtml(text)}</th>`;
}

function bodyCell<Row>(cell: Cell, column: Column<Row>, tag: "td" | "th", isBest: boolean, isStart: boolean): string {
  const { text, value, html, tone, share } = typeof cell === "string" ? { text: cell } : cell;
  const classes = [
    ...(isStart ? ["starts"] : []),
    ...(isBest ? ["best"] : []),
    ...(tone === undefined ? [] : [tone]),
    ...(share === undefined ? [] : ["bar"]),
    ...(column.name === undefined ? [] : [column.name]),
  ];
  const attributes = [
    ...(tag === "th" ? [' scope="row"'] : []),
    ...(classes.length === 0 ? [] : [` class="${classes.join(" ")}"`]),
    ...(column.isNumber === true ? [' data-kind="number"'] : []),
    // Texts that are numbers of the same digits sort by themselves.
    ...(value === undefined || text === String(value) ? [] : [` data-value="${Number(value.toPrecision(7))}"`]),
    ...(share === undefined ? [] : [` style="--share:${(100 * share).toFixed(0)}%"`]),
  ];
  return `<${tag}${attributes.join("")}>${html ?? (tag === "th" ? breakable(text) : escapeHtml(text))}</${tag}>`;
}
