/**
 * The rows of a table in a file, by the names of its columns, whatever the file's form: CSV and TSV (csv-rows.ts) or JSON lines (json-rows.ts),
 * packed with gzip or not. Knows nothing of examples and labels.
 */
import { openCsv } from "./csv-rows.js";
import { openJsonLines } from "./json-rows.js";

export interface TableRow {
  /** Texts in CSV; whatever JSON has. */
  readonly values: ReadonlyMap<string, unknown>;
  /** In the file, from 1. */
  readonly line: number;
}

export interface TableRows {
  /** As they are called in the file, without blanks around; those of the first row in JSON lines. */
  readonly columns: readonly string[];
  /** What was assumed of the file's form. */
  readonly notices: readonly string[];
  readonly rows: AsyncIterable<TableRow>;
}

/** Endings of files that hold a table, the preferred ones first. */
export const TABLE_EXTENSIONS = ["csv", "tsv", "jsonl", "ndjson", "json"].flatMap((name) => [name, `${name}.gz`]);

/** Opens a file. Its rows throw DataError, as this does, with the line that is not as expected. */
export function openTable(path: string, where: string, maxRowLength: number): Promise<TableRows> {
  return /\.(?:csv|tsv)(?:\.gz)?$/.test(path)
    ? openCsv(path, where, maxRowLength)
    : openJsonLines(path, where, maxRowLength);
}
