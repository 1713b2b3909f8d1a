/**
 * Examples in the rows of one table that somebody names: CSV, TSV, JSON lines or parquet, a row or a row group at a
 * time.
 */
import { dirname, resolve } from "node:path";
import { DataError } from "../../errors.js";
import type { ExampleKind } from "../kind.js";
import { type ColumnNaming, chooseExamples } from "./columns.js";
import { readExampleFile } from "./example-file.js";
import { presentFile } from "./file-names.js";
import type { GivenExample, GivenPath } from "./given-examples.js";
import { textValue } from "./manifest-rows.js";
import { chooseColumns, requireColumns } from "./parquet-dataset.js";
import { openShard, readColumn } from "./parquet-shard.js";
import { openTable } from "./table-rows.js";

export interface GivenColumns {
  /** Of the examples; found by its name if absent. */
  readonly column?: string | undefined;
  /** Of the other texts of pairs. */
  readonly pairColumn?: string | undefined;
  readonly notice: (text: string) => void;
}

const naming: ColumnNaming = (option) => `give ${option === "pair_column" ? "--pair-column" : "--column"} NAME`;

/**
 * Texts in its rows, or the paths of files relative to the table. Throws DataError for a table without such a column,
 * and for one that breaks off.
 */
export async function* examplesInTable(
  { shown, path }: GivenPath,
  kind: ExampleKind,
  { column: asked, pairColumn, notice }: GivenColumns,
): AsyncGenerator<GivenExample> {
  const { usualInManifests, inManifests, maxRowLength } = kind.columns;
  // Errors of the table begin with its path.
  const table = await openTable(path, kind.many, maxRowLength);
  if (table.columns.length === 0)
    throw new DataError(`${shown}: expected a table of ${kind.many}, found an empty file`);
  const chosen = chooseExamples(table.columns, kind, usualInManifests, { column: asked, pair: pairColumn, naming });
  const { column, pair } = chosen;
  if (column === undefined)
    throw new DataError(
      `${shown}: expected a column ${asked ?? usualInManifests[0]}, found ${chosen.found}; ${naming(kind.columns.option)}`,
    );
  if (pair !== undefined && !table.columns.includes(pair))
    throw new DataError(
      `${shown}: expected a column ${pair}, found ${table.columns.join(", ")}; ${naming("pair_column")}`,
    );
  for (const said of table.notices) notice(said);
  if (chosen.notice !== undefined) notice(`${shown}: ${chosen.notice}`);
  for await (const { values, line } of table.rows) {
    const source = `${shown}:${line}`;
    const textIn = (of: string) => async () => Buffer.from(textValue(values.get(of), of, source), "utf8");
    if (inManifests === "texts") {
      yield { source, encoded: textIn(column), ...(pair === undefined ? {} : { second: textIn(pair) }) };
      continue;
    }
    const file = values.get(column);
    yield {
      source: typeof file === "string" && file !== "" ? `${source} (${file})` : source,
      encoded: async () => {
        if (typeof file !== "string" || file === "")
          throw new DataError(`${source}: expected the path of ${kind.some} in column ${column}, found none`);
        const listed = resolve(dirname(path), file);
        return kind.files.fromBytes(await readExampleFile((await presentFile(listed)) ?? listed, kind), source);
      },
    };
  }
}

/**
 * Examples in its column, a row group at a time. Throws DataError for a file without such a column, and for one that is
 * damaged.
 */
export async function* examplesInParquet(
  { shown, path }: GivenPath,
  kind: ExampleKind,
  { column: asked, pairColumn, notice }: GivenColumns,
): AsyncGenerator<GivenExample> {
  const shard = await openShard(path);
  const chosen = chooseColumns(shard, kind, { column: asked, pair: pairColumn, naming });
  const { column, pair } = chosen;
  requireColumns(shard, pair === undefined ? [column] : [column, pair]);
  if (chosen.notice !== undefined) notice(`${shown}: ${chosen.notice}`);
  const asBytes = kind.columns.holding === "texts";
  let start = 0;
  for (const { num_rows } of shard.metadata.row_groups) {
    const end = start + Number(num_rows);
    if (end === start) continue;
    const read = (of: string) => readColumn(shard, of, start, end, { asBytes });
    const [values, seconds] = [await read(column), pair === undefined ? undefined : await read(pair)];
    for (const [index, value] of values.entries()) {
      const source = `${shown}: row ${start + index}`;
      const second = seconds?.[index];
      yield {
        source,
        encoded: async () => kind.fromValue(value, source),
        ...(seconds === undefined ? {} : { second: async () => kind.fromValue(second, source) }),
      };
    }
    start = end;
  }
}
