/** What the rows of a split's manifests say: the example or the path of its file, its other text where there are pairs, its label, its line. */
import { basename, resolve } from "node:path";
import { DataError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import type { ExampleKind } from "../kind.js";
import { type TextStore, textStore } from "../text/text-store.js";
import { type ColumnNaming, chooseExamples, isSameName, nearLabels, shownColumns } from "./columns.js";
import { emptyTexts } from "./passed-over.js";
import { openTable, type TableRow } from "./table-rows.js";

/** `manifest.csv`: a file for all splits. */
export const COMMON_STEM = "manifest";
export const LABEL_COLUMN = "label";
const SPLIT_COLUMN = "split";
const MAX_ROWS = 20_000_000;

/** Columns are those that suite.yaml names. */
export interface Reading {
  readonly kind: ExampleKind;
  readonly path: string;
  readonly split: string;
  readonly where: string;
  readonly example: string | undefined;
  readonly pair: string | undefined;
  readonly label: string | undefined;
  readonly naming: ColumnNaming;
}

export interface ManifestColumns {
  readonly example: string;
  readonly pair: string | undefined;
  readonly label: string | undefined;
  readonly split: string | undefined;
  /** Why there is no label. */
  readonly found: string;
  readonly notices: readonly string[];
}

export interface ManifestRows {
  /** Absolute, where rows name files; else none. */
  readonly files: readonly string[];
  readonly texts: TextStore;
  readonly seconds: TextStore | undefined;
  /** Of each row, as a number of `labelNames`; -1: none. */
  readonly labelNumbers: readonly number[];
  /** Of all splits in the files, in the order of their first rows. */
  readonly labelNames: readonly string[];
  /** In its file, from 1. */
  readonly lines: readonly number[];
  /** `file:line` */
  readonly place: (index: number) => string;
  readonly columns: ManifestColumns;
  /** Of the whole file, where it has a column of them. */
  readonly splits: ReadonlySet<string>;
  readonly notices: readonly string[];
}

/** Rows as they are gathered. */
interface Gathered {
  readonly files: string[];
  readonly texts: TextStore;
  readonly seconds: TextStore;
  readonly labelNumbers: number[];
  readonly known: Map<string, number>;
  readonly lines: number[];
  readonly splits: Set<string>;
  readonly notices: string[];
}

/** The rows of the split, and the labels of all. Throws DataError with file and line for a row that is not one. */
export async function readManifests(manifests: readonly string[], reading: Reading): Promise<ManifestRows> {
  const gathered: Gathered = {
    files: [],
    texts: textStore(),
    seconds: textStore(),
    labelNumbers: [],
    known: new Map(),
    lines: [],
    splits: new Set(),
    notices: [],
  };
  const starts: (readonly [start: number, file: string])[] = [];
  let columns: ManifestColumns | undefined;
  for (const manifest of manifests) {
    starts.push([gathered.lines.length, manifest]);
    columns = await readOne(manifest, reading, columns, gathered);
  }
  if (columns === undefined) throw new TypeError("a split was read from no file");
  const place = (index: number) => `${starts.findLast(([start]) => start <= index)?.[1]}:${gathered.lines[index]}`;
  const { known, seconds, ...rest } = gathered;
  return {
    ...rest,
    seconds: columns.pair === undefined ? undefined : seconds,
    labelNames: [...known.keys()],
    place,
    columns,
  };
}

/** `first`: the columns of the split's first file, which the others have too. */
async function readOne(
  manifest: string,
  reading: Reading,
  first: ManifestColumns | undefined,
  gathered: Gathered,
): Promise<ManifestColumns> {
  const { where, split, kind } = reading;
  const table = await openTable(manifest, where, kind.columns.maxRowLength);
  if (table.columns.length === 0)
    throw new DataError(
      `${where}: ${manifest}: expected at least 1 ${kind.one} of split ${split}, found an empty file`,
    );
  const columns = manifestColumns(table.columns, manifest, {
    ...reading,
    ...(first === undefined ? {} : { example: first.example, pair: first.pair, label: first.label }),
  });
  const { lines, labelNumbers, known, splits, notices } = gathered;
  const [withoutSplit, empty] = [counter(), counter()];
  for await (const row of table.rows) {
    const { values, line } = row;
    const label =
      columns.label === undefined ? "" : labelText(values.get(columns.label), `${where}: ${manifest}:${line}`);
    if (label !== "" && !known.has(label)) known.set(label, known.size);
    if (columns.split !== undefined) {
      const own = String(values.get(columns.split) ?? "").trim();
      if (own === "") withoutSplit.add(line);
      else splits.add(own);
      if (own !== split) continue;
    }
    if (lines.length >= MAX_ROWS)
      throw new DataError(`${where}: ${manifest}: expected at most ${MAX_ROWS} ${kind.many}, found more`);
    if (addExample(row, columns, `${where}: ${manifest}:${line}`, reading, gathered)) empty.add(line);
    labelNumbers.push(known.get(label) ?? -1);
    lines.push(line);
  }
  notices.push(
    ...table.notices,
    ...columns.notices,
    ...(withoutSplit.count === 0
      ? []
      : [
          `${manifest}: passed over: ${withoutSplit.count} rows with nothing in column ${columns.split} (the first in line ${withoutSplit.first})`,
        ]),
    ...emptyTexts(manifest, empty.count, `in line ${empty.first}`),
  );
  return columns;
}

/** How many lines, and the first of them. */
function counter() {
  const found = { count: 0, first: 0 };
  return Object.assign(found, {
    add: (line: number) => {
      if (found.count === 0) found.first = line;
      found.count += 1;
    },
  });
}

/** Returns whether it is an empty text. Throws DataError for none at all. */
function addExample(
  { values }: TableRow,
  columns: ManifestColumns,
  place: string,
  { kind, path }: Reading,
  { files, texts, seconds }: Gathered,
): boolean {
  if (kind.columns.inManifests === "paths") {
    const file = values.get(columns.example) ?? "";
    if (typeof file !== "string" || file === "")
      throw new DataError(`${place}: expected a value for ${columns.example}, found none`);
    files.push(resolve(path, file));
    return false;
  }
  let isEmpty = false;
  for (const [column, store] of [
    [columns.example, texts],
    [columns.pair, seconds],
  ] as const) {
    if (column === undefined) continue;
    const text = textValue(values.get(column), column, place);
    store.add(text, place);
    isEmpty ||= text === "";
  }
  return isEmpty;
}

/** The text in a cell. Throws DataError, beginning with `place`, for what is none. */
export function textValue(value: unknown, column: string, place: string): string {
  // Halves of pairs of UTF-16, which JSON can escape, are no letters.
  if (typeof value === "string" && !/\p{Surrogate}/u.test(value)) return value;
  const found =
    typeof value === "string" ? "half a letter (\\ud800 or the like)" : value == null ? "none" : `a ${typeof value}`;
  throw new DataError(
    `${place}: expected a text in column ${column}, found ${found}; ${value == null ? 'remove the row, or give it an empty text ("")' : "correct the row"}`,
  );
}

/** A label as a text; empty where there is none. */
function labelText(value: unknown, place: string): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number" && Number.isInteger(value)) return String(value);
  if (typeof value === "boolean") return String(Number(value));
  throw new DataError(
    `${place}: expected a class number or the name of a class, found ${typeof value === "number" ? value : quote(JSON.stringify(value) ?? typeof value)}`,
  );
}

function manifestColumns(columns: readonly string[], manifest: string, reading: Reading): ManifestColumns {
  const { kind, where, label: askedLabel, naming } = reading;
  const { option, pairOption, usualInManifests } = kind.columns;
  const asked = { column: reading.example, pair: reading.pair, naming };
  const example = chooseExamples(columns, kind, usualInManifests, asked);
  if (example.column === undefined)
    throw new DataError(
      `${where}: ${manifest}:1: expected a column ${reading.example ?? usualInManifests[0]}, found ${example.found}; ${naming(option)}`,
    );
  if (example.pair !== undefined && !columns.includes(example.pair))
    throw new DataError(
      `${where}: ${manifest}:1: expected a column ${example.pair}, found ${shownColumns(columns)}${pairOption === undefined ? "" : `; ${naming(pairOption)}`}`,
    );
  const usualLabel = askedLabel ?? LABEL_COLUMN;
  const label = columns.includes(usualLabel)
    ? { column: usualLabel, found: "" }
    : askedLabel === undefined
      ? nearLabels(columns, kind, naming, example.column)
      : { column: undefined, found: `${shownColumns(columns)}, none called ${askedLabel}` };
  const split = basename(manifest).startsWith(`${COMMON_STEM}.`) ? splitColumn(columns) : undefined;
  const said = [example, label].flatMap((choice) => ("notice" in choice && choice.notice ? [choice.notice] : []));
  return {
    example: example.column,
    pair: example.pair,
    label: label.column,
    split,
    found: label.found || shownColumns(columns),
    notices: said.map((notice) => `${manifest}: ${notice}`),
  };
}

/** The column that says to which split a row belongs. */
export function splitColumn(columns: readonly string[]): string | undefined {
  if (columns.includes(SPLIT_COLUMN)) return SPLIT_COLUMN;
  const near = columns.filter((name) => isSameName(name, SPLIT_COLUMN));
  return near.length === 1 ? near[0] : undefined;
}
