/**
 * The rows of a CSV file as people's tools write them: RFC 4180 with a header row by csv-parse; UTF-8 with or without a byte order mark,
 * in another encoding refused with its line; parted by semicolons or tabs where the header is, which is said; with blanks around values
 * where the header has them. Knows nothing of images and labels.
 */
import { Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import { DataError } from "../../errors.js";
import { decodeUtf8, streamRegular } from "../../runtime/regular-file.js";
import { escapedBytes } from "./file-names.js";

/** A path and a class name are far shorter; bounds what a broken quote can gather. */
const MAX_ROW_LENGTH = 100_000;
const MARK = "\ufeff";
const LF = 0x0a;
const DELIMITERS = [
  [",", "commas"],
  [";", "semicolons"],
  ["\t", "tabs"],
] as const;

export interface CsvRow {
  readonly values: ReadonlyMap<string, string>;
  /** In the file, from 1. */
  readonly line: number;
}

export interface CsvRows {
  /** As they are called in the file, without blanks around. */
  readonly columns: readonly string[];
  /** What was assumed of the file's form. */
  readonly notices: readonly string[];
  readonly rows: AsyncIterable<CsvRow>;
}

/** Opens a file and reads its header. Its rows throw DataError, as this does, with the line that is not as expected. */
export async function openCsv(path: string, where: string): Promise<CsvRows> {
  const place = `${where}: ${path}`;
  const chunks = textOf(path, place);
  const start = await firstLine(chunks);
  const [delimiter, called] = DELIMITERS.find(([mark]) => start.line.includes(mark)) ?? DELIMITERS[0];
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
      trim: isPadded,
      max_record_size: MAX_ROW_LENGTH,
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
      ...(delimiter === "," ? [] : [`${path}: its columns are parted by ${called}`]),
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
): AsyncGenerator<CsvRow> {
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

/** The file's text, whole lines at a time. Throws DataError where it is not UTF-8. */
async function* textOf(path: string, place: string): AsyncGenerator<string> {
  let rest = new Uint8Array();
  let lines = 0;
  const decode = (bytes: Uint8Array) => {
    const text = decodeUtf8(bytes);
    if (text === undefined) throw new DataError(foreignText(place, bytes, lines));
    lines += text.split("\n").length - 1;
    return text;
  };
  for await (const chunk of streamRegular(path, "a CSV file", DataError)) {
    const bytes = Buffer.concat([rest, chunk]);
    const end = bytes.lastIndexOf(LF) + 1;
    if (bytes.length - end > 4 * MAX_ROW_LENGTH)
      throw new DataError(
        `${place}: expected CSV with lines of at most ${MAX_ROW_LENGTH} characters, found a longer one`,
      );
    rest = bytes.subarray(end);
    if (end > 0) yield decode(bytes.subarray(0, end));
  }
  if (rest.length > 0) yield decode(rest);
}

function foreignText(place: string, bytes: Uint8Array, linesBefore: number): string {
  const [first, second] = bytes;
  if (linesBefore === 0 && ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)))
    return `${place}: expected CSV in UTF-8, found UTF-16 (Excel's "Unicode text"?); save it as CSV UTF-8`;
  let [start, line] = [0, linesBefore + 1];
  for (;;) {
    const end = bytes.indexOf(LF, start);
    const text = bytes.subarray(start, end < 0 ? bytes.length : end);
    if (end < 0 || decodeUtf8(text) === undefined)
      return `${place}:${line}: expected CSV in UTF-8, found ${escapedBytes(text.subarray(0, 100))} in another encoding; save it as UTF-8, e.g. with \`iconv -f latin1 -t utf8\``;
    start = end + 1;
    line += 1;
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
