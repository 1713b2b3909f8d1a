/**
 * Data sets as the Hugging Face hub stores them: parquet shards with a column of examples (images: a struct with the encoded `bytes`, or
 * plain binary; texts, and for pairs a second column of them) and an optional column of labels (parquet-labels.ts). Labels are read at once,
 * examples one row group at a time. Paths beside bytes are not followed. A row without an example is an error where it is read: passing it over
 * would make another split of it.
 */
import { basename } from "node:path";
import { leftOut } from "../../config/shipped-files.js";
import { DataError } from "../../errors.js";
import type { ExampleKind } from "../kind.js";
import {
  type AskedColumns,
  type ColumnChoice,
  type ColumnNaming,
  chooseExamples,
  type ExampleColumns,
  nearExamples,
  nearLabels,
  shownColumns,
} from "./columns.js";
import { type Dataset, type DatasetReader, type ReadRequest, readerParameters } from "./dataset-reader.js";
import { readLabels } from "./parquet-labels.js";
import { openShard, readColumn, type Shard } from "./parquet-shard.js";
import { emptyTexts } from "./passed-over.js";
import { checkShards, findSplitFiles, PARQUET, readCard } from "./split-files.js";
import { tableParameters } from "./table-parameters.js";

/** Row groups whose examples stay in memory: random access within a shard without holding the split. */
const MAX_KEPT_GROUPS = 4;

function parametersOf(kind: ExampleKind) {
  const labels = "Column of the labels; found by itself when it is label or the only class column";
  return tableParameters(kind, { usual: kind.columns.usualInParquet, labels, hasConfigs: true });
}

export const parquetReader: DatasetReader = {
  name: "parquet",
  title: ({ one }) => `Hugging Face parquet ${one} data set`,
  layout: () => "data/<split>-00000-of-00001.parquet, <split>*.parquet, or the same in the folder of a config",
  parameters: parametersOf,
  detect: async (path, split) => {
    const { files, splits, configs } = await findSplitFiles(path, split, { extensions: PARQUET });
    return files.length > 0 || splits.length > 0 || configs.length > 0;
  },
  splits: async (path) => {
    const { files, splits } = await findSplitFiles(path, NO_SPLIT, { extensions: PARQUET });
    return files.length + splits.length > 0 ? splits : undefined;
  },
  open: openParquet,
};

/** Asks for the splits there are: no split has this name. */
const NO_SPLIT = "-";

/** Rows `start` .. `start + count - 1` of the split are rows `fileStart` .. of one file. */
interface RowGroup {
  readonly shard: Shard;
  readonly start: number;
  readonly fileStart: number;
  readonly count: number;
}

async function openParquet(request: ReadRequest): Promise<Dataset> {
  const { path, split, where, kind, naming } = request;
  const parameters = readerParameters(parametersOf(kind), request);
  const { files, splits, configs } = await findSplitFiles(path, split, {
    extensions: PARQUET,
    config: parameters.config,
  });
  if (files.length === 0)
    throw new DataError(
      configs.length > 0
        ? `${where}: ${path}: expected parquet files of split ${split}${parameters.config === undefined ? "" : ` of config ${parameters.config}`}, found the configs ${configs.join(", ")}; say which under dataset.config`
        : `${where}: ${path}: expected parquet files of split ${split}, found ${splits.includes(split) ? "none, though README.md names it" : `the splits ${splits.join(", ")}`}${leftOut(path)}`,
    );
  checkShards(files, where);
  const shards: Shard[] = [];
  for (const file of files) shards.push(await openShard(file));
  const groups = rowGroups(shards);
  const last = groups.at(-1);
  const size = last === undefined ? 0 : last.start + last.count;
  const [first] = shards;
  if (first === undefined || size === 0)
    throw new DataError(
      `${where}: ${files.join(", ")}: expected at least 1 row, found an empty split; download it again`,
    );
  const { option, pairOption } = kind.columns;
  const asked = {
    column: parameters[option],
    pair: pairOption === undefined ? undefined : parameters[pairOption],
    naming,
  };
  const examples = chooseColumns(first, kind, asked);
  const label = chooseLabelColumn(first, kind, { example: examples.column, label: parameters.label_column, naming });
  const { column, pair } = examples;
  const labelColumn = label.column;
  for (const shard of shards)
    requireColumns(
      shard,
      [column, pair, labelColumn].flatMap((name) => name ?? []),
    );
  const locate = (index: number) => {
    const group = groupOf(groups, index);
    return `${group.shard.path}: row ${group.fileStart + index - group.start}`;
  };
  const reading = (of: string) => {
    const readGroup = keepRecent((group: RowGroup) => readExamples(group, of, kind));
    return async (index: number) => {
      const group = groupOf(groups, index);
      const values = await readGroup(group);
      return kind.fromValue(values[index - group.start], `${locate(index)}, column ${of}`);
    };
  };
  const encoded = reading(column);
  const second = pair === undefined ? {} : { second: reading(pair) };
  const notices = [examples, label].flatMap(({ notice }) => (notice === undefined ? [] : [`${first.path}: ${notice}`]));
  if (kind.columns.holding === "texts")
    for (const of of [column, pair]) if (of !== undefined) notices.push(...(await emptyNotices(groups, of, kind)));
  const found = { kind: kind.name, name: basename(path), split, size, encoded, ...second, locate, notices };
  const expected = `${first.path}: expected a column of labels (label)`;
  if (labelColumn === undefined) return { ...found, unlabelled: `${expected}, found columns ${label.found}` };
  const names = first.features.get(labelColumn)?.names;
  const readme = () => readCard(path);
  const read = await readLabels(shards, {
    column: labelColumn,
    size,
    names,
    readme,
    config: parameters.config,
    locate,
    namesWanted: request.classes === undefined,
  });
  if (read === undefined)
    return { ...found, unlabelled: `${expected}, found none in any row of column ${labelColumn}` };
  return { ...found, ...read };
}

/**
 * The column of the examples, and of their other halves where they are pairs. Throws DataError where it is not clear
 * which is meant.
 */
export function chooseColumns(
  shard: Shard,
  kind: ExampleKind,
  asked: AskedColumns,
): ExampleColumns & { readonly column: string } {
  const { usualInParquet: usual, feature, holding, option } = kind.columns;
  if (asked.column !== undefined)
    return { column: asked.column, found: "", ...(asked.pair === undefined ? {} : { pair: asked.pair }) };
  const able = shard.holding[holding];
  const [likeliest = kind.name] = usual;
  const choose = (): ExampleColumns => {
    // Texts can be pairs, and lists of tokens be called as texts are.
    if (feature === undefined) return chooseExamples(able, kind, usual, asked);
    const typed = [...shard.features].filter(([, { _type }]) => _type === feature).map(([name]) => name);
    const known = usual.find((name) => shard.columns.includes(name)) ?? (typed.length === 1 ? typed[0] : undefined);
    return known === undefined ? nearExamples(able, kind, asked.naming) : { column: known, found: "" };
  };
  const chosen = choose();
  if (chosen.column !== undefined) return { ...chosen, column: chosen.column };
  const found = feature === undefined && able.length > 0 ? chosen.found : shownColumns(shard.columns);
  throw new DataError(
    `${shard.path}: expected a column of ${kind.many} named ${likeliest}, found ${found}; ${asked.naming(option)}`,
  );
}

function chooseLabelColumn(
  shard: Shard,
  kind: ExampleKind,
  {
    example,
    label: asked,
    naming,
  }: { readonly example: string; readonly label: string | undefined; readonly naming: ColumnNaming },
): ColumnChoice {
  if (asked !== undefined || shard.columns.includes("label")) return { column: asked ?? "label", found: "" };
  const typed = [...shard.features].filter(([, feature]) => feature._type === "ClassLabel").map(([name]) => name);
  const [only] = typed;
  if (only !== undefined && typed.length === 1) return { column: only, found: "" };
  const found = shownColumns(shard.columns);
  if (typed.length > 1)
    return {
      column: undefined,
      found: `${found}, of which ${shownColumns(typed)} could be meant: for the one that is, ${naming("label_column")}`,
    };
  return nearLabels(shard.columns, kind, naming, example);
}

/** Throws DataError for a file that lacks one of them. */
export function requireColumns(shard: Shard, names: readonly string[]): void {
  for (const name of names) {
    if (!shard.columns.includes(name))
      throw new DataError(
        `${shard.path}: expected a column ${name}, found ${shard.columns.join(", ")}; is it a shard of another data set?`,
      );
  }
}

function rowGroups(shards: readonly Shard[]): readonly RowGroup[] {
  const groups: RowGroup[] = [];
  let start = 0;
  for (const shard of shards) {
    let fileStart = 0;
    for (const { num_rows } of shard.metadata.row_groups) {
      const count = Number(num_rows);
      if (count > 0) groups.push({ shard, start, fileStart, count });
      start += count;
      fileStart += count;
    }
  }
  return groups;
}

function groupOf(groups: readonly RowGroup[], index: number): RowGroup {
  const group = groups.findLast(({ start }) => start <= index);
  if (group === undefined || index >= group.start + group.count || !Number.isInteger(index))
    throw new RangeError(`example ${index} is not in the split`);
  return group;
}

/** Remembers the last few results, so that rows of one group are read from disk and decompressed once. */
function keepRecent<Key, Value>(read: (key: Key) => Promise<Value>): (key: Key) => Promise<Value> {
  const kept = new Map<Key, Promise<Value>>();
  return (key) => {
    const found = kept.get(key) ?? read(key);
    kept.delete(key);
    kept.set(key, found);
    const [oldest] = kept.keys();
    if (kept.size > MAX_KEPT_GROUPS && oldest !== undefined) kept.delete(oldest);
    return found;
  };
}

function readExamples(
  { shard, fileStart, count }: RowGroup,
  column: string,
  { columns }: ExampleKind,
): Promise<readonly unknown[]> {
  return readColumn(shard, column, fileStart, fileStart + count, { asBytes: columns.holding === "texts" });
}

/** Only groups are read whose statistics do not say that their least text is longer than none. */
async function emptyNotices(
  groups: readonly RowGroup[],
  column: string,
  kind: ExampleKind,
): Promise<readonly string[]> {
  let [count, first] = [0, ""];
  for (const group of groups) {
    if (!mayHaveEmpty(group, column)) continue;
    for (const [row, value] of (await readExamples(group, column, kind)).entries()) {
      if (!(value instanceof Uint8Array) || value.length > 0) continue;
      first ||= `in row ${group.fileStart + row}`;
      count += 1;
    }
  }
  return emptyTexts(`${groups[0]?.shard.path}, column ${column}`, count, first);
}

function mayHaveEmpty({ shard, fileStart }: RowGroup, column: string): boolean {
  let start = 0;
  for (const { num_rows, columns } of shard.metadata.row_groups) {
    if (start === fileStart && Number(num_rows) > 0) {
      const chunk = columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === column);
      const least = chunk?.meta_data?.statistics?.min_value;
      return !((typeof least === "string" || least instanceof Uint8Array) && least.length > 0);
    }
    start += Number(num_rows);
  }
  return true;
}
