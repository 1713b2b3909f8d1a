/**
 * Image data sets as the Hugging Face hub stores them: parquet shards with an image column (a struct with the
 * encoded `bytes`, or plain binary) and an optional column of labels (parquet-labels.ts). Labels are read at once, images one row group at
 * a time. Paths beside the bytes are not followed.
 */
import { basename } from "node:path";
import { z } from "zod";
import { DataError } from "../../errors.js";
import { type ColumnChoice, nearColumn, shownColumns } from "./columns.js";
import { type Dataset, type DatasetReader, type ReadRequest, readerParameters } from "./dataset-reader.js";
import { checkShards, findParquetFiles, readCard } from "./parquet-files.js";
import { readLabels } from "./parquet-labels.js";
import { openShard, readColumn, type Shard } from "./parquet-shard.js";

/** Row groups whose images stay in memory: random access within a shard without holding the split. */
const MAX_KEPT_GROUPS = 4;

const parametersSchema = z.strictObject({
  config: z.string().min(1).optional().describe("Config of a data set that has several, by its folder or its README"),
  image_column: z.string().min(1).optional().describe("Column of the images; found by itself when it is image or img"),
  label_column: z
    .string()
    .min(1)
    .optional()
    .describe("Column of the labels; found by itself when it is label or the only class column"),
});

export const parquetReader: DatasetReader = {
  name: "parquet",
  title: "Hugging Face parquet image data set",
  layout: "data/<split>-00000-of-00001.parquet, <split>*.parquet, or the same in the folder of a config",
  parameters: parametersSchema,
  detect: async (path, split) => {
    const { files, splits, configs } = await findParquetFiles(path, split);
    return files.length > 0 || splits.length > 0 || configs.length > 0;
  },
  splits: async (path) => {
    const { files, splits } = await findParquetFiles(path, NO_SPLIT);
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
  const parameters = readerParameters(parametersSchema, request);
  const { path, split, where } = request;
  const { files, splits, configs } = await findParquetFiles(path, split, parameters.config);
  if (files.length === 0)
    throw new DataError(
      configs.length > 0
        ? `${where}: ${path}: expected parquet files of split ${split}${parameters.config === undefined ? "" : ` of config ${parameters.config}`}, found the configs ${configs.join(", ")}; say which under dataset.config`
        : `${where}: ${path}: expected parquet files of split ${split}, found the splits ${splits.join(", ")}`,
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
  const image = chooseImageColumn(first, parameters.image_column);
  const label = chooseLabelColumn(first, image.column, parameters.label_column);
  const [imageColumn, labelColumn] = [image.column, label.column];
  for (const shard of shards) requireColumns(shard, [imageColumn, ...(labelColumn === undefined ? [] : [labelColumn])]);
  const locate = (index: number) => {
    const group = groupOf(groups, index);
    return `${group.shard.path}: row ${group.fileStart + index - group.start}`;
  };
  const readGroup = keepRecent((group: RowGroup) => readImages(group, imageColumn));
  const encoded = async (index: number) => {
    const group = groupOf(groups, index);
    const images = await readGroup(group);
    return imageBytes(images[index - group.start], `${locate(index)}, column ${imageColumn}`);
  };
  const notices = [image, label].flatMap(({ notice }) => (notice === undefined ? [] : [`${first.path}: ${notice}`]));
  const found = { name: basename(path), split, size, encoded, locate, notices };
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
    namesWanted: request.namesWanted,
  });
  if (read === undefined)
    return { ...found, unlabelled: `${expected}, found none in any row of column ${labelColumn}` };
  return { ...found, ...read };
}

function chooseImageColumn(shard: Shard, asked: string | undefined): ColumnChoice & { readonly column: string } {
  if (asked !== undefined) return { column: asked, found: "" };
  const typed = [...shard.features].filter(([, feature]) => feature._type === "Image").map(([name]) => name);
  const usual =
    ["image", "img"].find((name) => shard.columns.includes(name)) ?? (typed.length === 1 ? typed[0] : undefined);
  if (usual !== undefined) return { column: usual, found: "" };
  const near = nearColumn(shard.byteColumns, "image", "dataset.image_column");
  if (near.column !== undefined) return { ...near, column: near.column };
  throw new DataError(
    `${shard.path}: expected a column of images named image, found ${shownColumns(shard.columns)}; give its name as image_column`,
  );
}

function chooseLabelColumn(shard: Shard, imageColumn: string, asked: string | undefined): ColumnChoice {
  if (asked !== undefined || shard.columns.includes("label")) return { column: asked ?? "label", found: "" };
  const typed = [...shard.features].filter(([, feature]) => feature._type === "ClassLabel").map(([name]) => name);
  const [only] = typed;
  if (only !== undefined && typed.length === 1) return { column: only, found: "" };
  const found = shownColumns(shard.columns);
  if (typed.length > 1)
    return { column: undefined, found: `${found}: say with dataset.label_column which of ${shownColumns(typed)}` };
  return nearColumn(shard.columns, "label", "dataset.label_column", imageColumn);
}

function requireColumns(shard: Shard, names: readonly string[]): void {
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
    throw new RangeError(`image ${index} is not in the split`);
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

function readImages({ shard, fileStart, count }: RowGroup, column: string): Promise<readonly unknown[]> {
  return readColumn(shard, column, fileStart, fileStart + count);
}

function imageBytes(value: unknown, where: string): Uint8Array {
  const bytes = typeof value === "object" && value !== null && "bytes" in value ? value.bytes : value;
  if (bytes instanceof Uint8Array) return bytes;
  const found = bytes == null ? "none (null)" : `a ${typeof bytes}`;
  throw new DataError(
    `${where}: expected the bytes of an image, found ${found}; store the images inside the parquet file`,
  );
}
