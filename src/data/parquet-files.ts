/**
 * Finds the parquet files of one split: `<split>.parquet` or shards `<split>-00000-of-00002[-hash].parquet`, in the
 * data set's folder or its `data` folder, as the Hugging Face hub lays them out. Only names; contents are
 * `parquet-dataset.ts`.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../errors.js";

/** `<split>-00003-of-00010-0123abcd.parquet`: shard number and count. */
const SHARD_NAME = /-(\d+)-of-(\d+)(?:-[0-9a-f]+)?\.parquet$/;

/** The files of a split in shard order, and the names of all splits there are. */
export async function findParquetFiles(
  path: string,
  split: string,
): Promise<{ readonly files: readonly string[]; readonly splits: readonly string[] }> {
  const splits = new Set<string>();
  for (const folder of [join(path, "data"), path]) {
    const names = await readdir(folder).catch(() => []);
    const parquet = names.filter((name) => name.endsWith(".parquet")).sort();
    for (const name of parquet) splits.add(splitOf(name));
    const files = parquet.filter((name) => splitOf(name) === split);
    if (files.length > 0) return { files: files.map((name) => join(folder, name)), splits: [...splits] };
  }
  return { files: [], splits: [...splits] };
}

/** Throws DataError unless every shard that the names announce (`-of-00004`) is there once. */
export function checkShards(files: readonly string[], where: string): void {
  const shards = files.map((file) => SHARD_NAME.exec(file));
  const count = Number(shards[0]?.[2] ?? 0);
  if (count === 0) return;
  const numbers = shards.map((shard) => (Number(shard?.[2]) === count ? Number(shard?.[1]) : Number.NaN));
  const missing = Array.from({ length: count }, (_, number) => number).filter((number) => !numbers.includes(number));
  if (missing.length === 0 && files.length === count) return;
  throw new DataError(
    `${where}: expected the shards 0 to ${count - 1} once each, found ${files.length} files` +
      `${missing.length > 0 ? ` without shard ${missing.slice(0, 5).join(", ")}` : ""} (${files.slice(0, 3).join(", ")}); ` +
      "download the split again into an empty folder",
  );
}

function splitOf(name: string): string {
  return name
    .replace(SHARD_NAME, "")
    .replace(/\.parquet$/, "")
    .replace(/-\d{5}$/, "");
}
