/**
 * The rows of a CSV or TSV file as people's tools write them: RFC 4180 with a header row by csv-parse; UTF-8 with or without a byte order mark;
 * parted by semicolons or tabs where the header is, which is said; with blanks around values where the header has them. In a file that is called
 * `.tsv` quotes are also letters, as in GLUE's. Knows nothing of examples and labels.
 */
import { Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import { DataError } from "../../errors.js";
import type { TableRow, TableRows } from "./table-rows.js";
import { MARK, wholeLines } from "./utf8-text.js";

const TAB = "\t";
const DELIMITERS = [
  [",", "commas"],
  [";", "semicolons"],
  [TAB, "tabs"],
] as const;

/** Opens a file and reads its header. Its rows throw DataError, as this does, with the line that is not as expected. */
export async function openCsv(path: string, where: string, maxRowLength: number): Promise<TableRows> {
  const place = `${where}: ${path}`;
  const form = { name: "CSV", file: "a CSV file", inUtf8: "CSV UTF-8", maxLength: maxRowLength };
  const chunks = wholeLines(path, place, form);
  const start = await firstLine(chunks);
  const isTsv = /\.tsv(?:\.gz)?$/.test(path);
  const [delimiter, called] = isTsv
    ? [TAB, "tabs"]
    : (DELIMITERS.find(([mark]) => start.line.includes(mark)) ?? DELIMITERS[0]);
  const isPadded = start.line.split(delimiter).some((cell) => cell !== cell.trim());
  const text = Readable.from(joined(start.read, chunks));
  const parser = text.pipe(
    parse({
      bom: true,
      delimiter,
      info: true,
      skip_empty_lines: true,
      // Otherwise a row of another length is an error with its line.
      relax_column_count: false,
      relax_quotes: isTsv,
      trim: isPadded,
      max_record_size: maxRowLength,
    }),
  );
  // A stream passes no error on to the one it is piped into, and one that nobody hears ends the process.
  text.once("error", (error) => parser.destroy(error));
  const records = parsed(parser, place);
  const header = await records.next();
  const columns = header.done === true ? [] : header.value.record;
  const twice = columns.find((name, column) => columns.indexOf(name) !== column);
  if (twice !== undefined) throw new DataError(`${place}:1: expected each column once, found ${twice} twice`);
  return {
    columns,
    notices: [
      ...(delimiter === "," || isTsv ? [] : [`${path}: its columns are parted by ${called}`]),
      ...(start.read.startsWith(MARK)
        ? [`${path}: it begins with a byte order mark, which is no part of its first column`]
        : []),
      ...(isPadded ? [`${path}: blanks around its values are no part of them, since its header has some`] : []),
    ],
    rows: rowsOf(records, columns),
  };
}

async function* rowsOf(
  records: AsyncIterable<{ readonly record: readonly string[]; readonly line: number }>,
  columns: readonly string[],
): AsyncGenerator<TableRow> {
  for await (const { record, line } of records)
    yield { values: new Map(columns.map((column, index) => [column, record[index] ?? ""])), line };
}

async function* parsed(
  parser: AsyncIterable<{ readonly record: string[]; readonly info: { readonly lines: number } }>,
  place: string,
): AsyncGenerator<{ readonly record: string[]; readonly line: number }> {
  try {
    for await (const { record, info } of parser) yield { record, line: info.lines };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new DataError(`${place}: expected CSV with a header row (RFC 4180), found: ${error.message}`, {
      cause: error,
    });
  }
}

/** What has been read to see the header, and the header's line without a byte order mark. Empty lines before it are passed over. */
async function firstLine(chunks: AsyncGenerator<string>): Promise<{ readonly line: string; readonly read: string }> {
  let read = "";
  for (;;) {
    const next = await chunks.next();
    read += next.value ?? "";
    const lines = read.replace(MARK, "").split(/[\r\n]/);
    const first = lines.findIndex((line) => line.trim() !== "");
    // The last line may go on in what is not read yet.
    if (next.done === true || (first >= 0 && first < lines.length - 1)) return { line: lines[first] ?? "", read };
  }
}

async function* joined(first: string, rest: AsyncGenerator<string>): AsyncGenerator<string> {
  yield first;
  yield* rest;
}
