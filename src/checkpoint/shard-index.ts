/**
 * `model.safetensors.index.json` (or `pytorch_model.bin.index.json`) of a sharded checkpoint: which file holds which tensor. Read strictly, because its
 * values become file names: plain names in the folder of the index, whatever they are, and a complete set of them where they are numbered. How
 * the tensors compare with the shards is checked where the shards are opened (model-files.ts).
 */
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

/** `<prefix>-00001-of-00005.safetensors`, as transformers calls them; others have names of their own. */
const NUMBERED = /^(.*)-(\d{5,})-of-(\d{5,})\.(?:safetensors|bin)$/;
/** Of a file in the same folder: nothing that leads elsewhere on any system, is hidden, or cannot be shown. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused.
const PLAIN_NAME = /^[^./\\:\u0000-\u001f\u007f-\u009f][^/\\:\u0000-\u001f\u007f-\u009f]*$/;

/**
 * Reads an index: tensor name to the name of its shard. Throws CheckpointError for JSON that is not strictly an index,
 * names that leave the folder, and shards missing from a numbered sequence.
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
  if (name.length <= MAX_SHARD_NAME_LENGTH && PLAIN_NAME.test(name)) return name;
  throw new CheckpointError(
    `${path}: expected names of shards in the folder of the index, like model-00001-of-00005.safetensors, found ${quote(name)}. Do not use an index that points elsewhere; move shards of subfolders beside it.`,
  );
}

/** Where all names are numbers of one sequence, a shard of it that no tensor is in was lost. */
function checkSequence(shards: ReadonlySet<string>, path: string): void {
  if (shards.size > MAX_SHARDS) {
    throw new CheckpointError(`${path}: expected at most ${MAX_SHARDS} shards, found ${shards.size}.`);
  }
  const numbers = new Set<number>();
  const sequences = new Set<string>();
  for (const name of shards) {
    const [, prefix, number, count] = NUMBERED.exec(name) ?? [];
    if (number === undefined) return;
    numbers.add(Number(number));
    sequences.add(`${prefix} of ${Number(count)}`);
  }
  const [first = ""] = shards;
  const count = Number(NUMBERED.exec(first)?.[3]);
  const isComplete = numbers.size === count && [...numbers].every((number) => number >= 1 && number <= count);
  if (sequences.size > 1 || isComplete) return;
  throw new CheckpointError(
    `${path}: expected the shards 1 to N of N, each once, found ${shards.size}: ${[...shards].toSorted().slice(0, 5).join(", ")}. Get the complete checkpoint.`,
  );
}
