/**
 * The rows of a file of JSON lines: an object a line, its keys the columns; UTF-8 with or without a byte order mark; lines of blanks are passed
 * over, since they say nothing. Lengths and depths of lines are bounded. Knows nothing of examples and labels.
 */
import { DataError } from "../../errors.js";
import { parseBoundedJson } from "../../runtime/bounded-json.js";
import { printable } from "../../runtime/printable.js";
import type { TableRow, TableRows } from "./table-rows.js";
import { MARK, wholeLines } from "./utf8-text.js";

/** Of a line that is none, in the error. */
const SHOWN_LETTERS = 60;

/** Opens a file and reads its first row. Its rows throw DataError, as this does, with the line that is not as expected. */
export async function openJsonLines(path: string, where: string, maxRowLength: number): Promise<TableRows> {
  const place = `${where}: ${path}`;
  const form = { name: "JSON lines", file: "a file of JSON lines", inUtf8: "UTF-8", maxLength: maxRowLength };
  let isMarked = false;
  const rows = rowsOf(wholeLines(path, place, form), place, maxRowLength, () => {
    isMarked = true;
  });
  const first = await rows.next();
  return {
    columns: first.done === true ? [] : [...first.value.values.keys()],
    notices: isMarked ? [`${path}: it begins with a byte order mark, which is no part of its first row`] : [],
    rows: first.done === true ? rows : joined(first.value, rows),
  };
}

async function* rowsOf(
  chunks: AsyncIterable<string>,
  place: string,
  maxLength: number,
  onMark: () => void,
): AsyncGenerator<TableRow> {
  let line = 0;
  for await (const chunk of chunks) {
    // Chunks end with a line, so what is behind the last break is no line, but for the last one of the file.
    const lines = chunk.split("\n");
    if (lines.at(-1) === "") lines.pop();
    for (const text of lines) {
      line += 1;
      const isMarked = line === 1 && text.startsWith(MARK);
      if (isMarked) onMark();
      const json = isMarked ? text.slice(MARK.length) : text;
      if (json.trim() === "") continue;
      yield { values: parsedRow(json, `${place}:${line}`, maxLength), line };
    }
  }
}

function parsedRow(json: string, place: string, maxLength: number): ReadonlyMap<string, unknown> {
  const expected = `${place}: expected a JSON object in one line`;
  if (json.length > maxLength)
    throw new DataError(`${expected} of at most ${maxLength} characters, found ${json.length}`);
  const shown = `${printable(json.slice(0, SHOWN_LETTERS).trimEnd())}${json.length > SHOWN_LETTERS ? " ..." : ""}`;
  if (json.trimStart().startsWith("["))
    throw new DataError(
      `${expected}, found a list: ${shown}; write its objects a line each, e.g. with \`jq -c '.[]'\``,
    );
  let value: unknown;
  try {
    value = parseBoundedJson(json);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new DataError(
      `${expected}, found ${shown} (${error.message}); objects over several lines become one each with \`jq -c .\``,
      { cause: error },
    );
  }
  if (typeof value === "object" && value !== null) return new Map(Object.entries(value));
  throw new DataError(`${expected}, found ${shown}`);
}

async function* joined(first: TableRow, rest: AsyncIterable<TableRow>): AsyncGenerator<TableRow> {
  yield first;
  yield* rest;
}
