/**
 * `model.safetensors.index.json` (or `pytorch_model.bin.index.json`) of a sharded checkpoint: which file holds which tensor. Read strictly, because its
 * values become file names: plain names of the numbered pattern only, and a complete set of them. How the tensors
 * compare with the shards is checked where the shards are opened (checkpoint.ts).
 */
import { basename } from "node:path";
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import { readText } from "../runtime/regular-file.js";
import { JsonCursor } from "./json-cursor.js";
import { MAX_TENSORS } from "./safetensors-header.js";

export const INDEX_NAME = "model.safetensors.index.json";
export const PYTORCH_INDEX_NAME = "pytorch_model.bin.index.json";

/** Larger than any published model needs; a bound on the files that an index can make us open. */
const MAX_SHARDS = 10_000;
/** 100,000 tensors with long names; a larger index is not one. */
const MAX_INDEX_BYTES = 50_000_000;

/** The longest name that file systems take. */
const MAX_SHARD_NAME_LENGTH = 255;

/** `<prefix>-00001-of-00005.safetensors` */
const SHARD_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*-(\d{5,})-of-(\d{5,})\.(safetensors|bin)$/;

/**
 * Reads an index: tensor name to the name of its shard. Throws CheckpointError for JSON that is not strictly an index,
 * names that leave the folder or do not follow the pattern, and shards missing from the sequence.
 */
export async function readShardIndex(path: string): Promise<ReadonlyMap<string, string>> {
  const cursor = new JsonCursor(await readText(path, "the index of a sharded checkpoint", MAX_INDEX_BYTES), path);
  const shardOf = new Map<string, string>();
  let found = false;
  cursor.object("the index", (key) => {
    if (key !== "weight_map") return cursor.skipValue();
    found = true;
    cursor.object("weight_map", (name) => {
      shardOf.set(name, checkShardName(cursor.string(`the shard of ${quote(name)} as a string`), path));
      if (shardOf.size > MAX_TENSORS) cursor.fail(`at most ${MAX_TENSORS} tensors`);
    });
  });
  cursor.end();
  if (!found || shardOf.size === 0) {
    throw new CheckpointError(`${path}: expected a weight_map with tensors, found none. Get the index again.`);
  }
  checkSequence(new Set(shardOf.values()), path);
  return shardOf;
}

/** The name of shard `number` of `count`, both from 1. */
export function shardName(number: number, count: number): string {
  const digits = (value: number) => String(value).padStart(5, "0");
  return `model-${digits(number)}-of-${digits(count)}.safetensors`;
}

function checkShardName(name: string, path: string): string {
  const format = basename(path) === PYTORCH_INDEX_NAME ? "bin" : "safetensors";
  if (name.length <= MAX_SHARD_NAME_LENGTH && SHARD_NAME.exec(name)?.[3] === format) return name;
  const example = format === "bin" ? "pytorch_model-00001-of-00005.bin" : "model-00001-of-00005.safetensors";
  throw new CheckpointError(
    `${path}: expected shards called like ${example} in the folder of the index, found ${quote(name)}. Do not use an index that points elsewhere.`,
  );
}

function checkSequence(shards: ReadonlySet<string>, path: string): void {
  if (shards.size > MAX_SHARDS) {
    throw new CheckpointError(`${path}: expected at most ${MAX_SHARDS} shards, found ${shards.size}.`);
  }
  const numbers = [...shards].map((name) => SHARD_NAME.exec(name)?.slice(1, 3).map(Number) ?? []);
  const count = numbers[0]?.[1];
  const distinct = new Set(numbers.map(([number]) => number));
  const inRange = numbers.every(([number = 0, of]) => of === count && number >= 1 && number <= shards.size);
  if (count !== shards.size || distinct.size !== shards.size || !inRange) {
    throw new CheckpointError(
      `${path}: expected the shards 1 to N of N, each once, found ${shards.size}: ${[...shards].toSorted().slice(0, 5).join(", ")}. Get the complete checkpoint.`,
    );
  }
}
