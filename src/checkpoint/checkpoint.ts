/**
 * Opening a checkpoint: a Hugging Face folder (config.json, model.safetensors or its shards) or one .safetensors
 * file. Only headers are read here; values come tensor by tensor. Saving is in save-checkpoint.ts.
 */
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { CheckpointError } from "../errors.js";
import { printable, quote } from "./json-cursor.js";
import { readText } from "./regular-file.js";
import { hashTensors, readSafetensorsHeader, readTensorFloat32, type SafetensorsFile } from "./safetensors.js";
import type { TensorEntry } from "./safetensors-header.js";
import { INDEX_NAME, readShardIndex } from "./shard-index.js";

export { type SaveCheckpointOptions, saveCheckpoint } from "./save-checkpoint.js";

export const MODEL_NAME = "model.safetensors";
/** The longest published ones, with their label names, have some 100 KB. */
const MAX_CONFIG_BYTES = 10_000_000;
/** Parts of a tensor's name that peft and diffusers give to the factors of an adapter. */
const ADAPTER_TENSOR = /\.lora_(?:[AB]|down|up|embedding_[AB]|magnitude_vector)\b/;

export interface StoredTensor extends TensorEntry {
  readonly file: SafetensorsFile;
}

export interface Checkpoint {
  /** As given to `openCheckpoint`. */
  readonly path: string;
  /** Parsed config.json, not validated; undefined if there is none. */
  readonly config: unknown;
  /** By the names in the files, and by those that a file declares to be tied to one of its tensors; see names.ts for canonical ones. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Values of one tensor as float32 (a copy); CheckpointError for an unknown name or a dtype that is not a float. */
  readFloat32(name: string): Promise<Float32Array>;
  /** Hex sha256 over dtype, shape and bytes of each named tensor, in the order of the names; read once, then remembered. */
  tensorSha256s(names: readonly string[]): Promise<string[]>;
}

/**
 * Opens the checkpoint at `path` (a folder or a .safetensors file) and validates its headers. Throws CheckpointError
 * that names what is there instead: PyTorch files, LoRA adapters, git-lfs pointers, web pages, incomplete shards.
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const found = await stat(path).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CheckpointError(
      `${path}: expected a checkpoint folder or a .safetensors file (${reason}). Check the path.`,
    );
  });
  if (!found.isDirectory()) {
    const tensors = await readModelFile(path);
    // Beside a file of the standard name lies the config of that model; beside any other name it could be anyone's.
    const config = basename(path) === MODEL_NAME ? await readConfig(dirname(path)) : undefined;
    return makeCheckpoint(path, config, tensors);
  }
  const names = new Set(
    await readdir(path).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new CheckpointError(`${path}: expected a readable folder (${reason}). Check its permissions.`);
    }),
  );
  refuseAdapter(path, names);
  if (names.has(MODEL_NAME)) {
    return makeCheckpoint(path, await readConfig(path), await readModelFile(join(path, MODEL_NAME)));
  }
  if (names.has(INDEX_NAME)) return makeCheckpoint(path, await readConfig(path), await readShards(path));
  throw noModel(path, names);
}

function makeCheckpoint(path: string, config: unknown, tensors: ReadonlyMap<string, StoredTensor>): Checkpoint {
  const factor = [...tensors.keys()].find((name) => ADAPTER_TENSOR.test(name));
  if (factor !== undefined) throw adapterFound(path, ` (its tensor ${quote(factor)})`);
  const hashes = new Map<string, string>();
  const find = (name: string): StoredTensor => {
    const tensor = tensors.get(name);
    if (tensor !== undefined) return tensor;
    throw new CheckpointError(`${path}: expected a tensor ${quote(name)}, found ${tensors.size} others.`);
  };
  return {
    path,
    config,
    tensors,
    readFloat32: async (name) => {
      const stored = find(name);
      return readTensorFloat32(stored.file, stored.name);
    },
    tensorSha256s: async (names) => {
      const unknown = names.filter((name) => !hashes.has(name)).map((name) => ({ name, stored: find(name) }));
      for (const file of new Set(unknown.map(({ stored }) => stored.file))) {
        const own = unknown.filter(({ stored }) => stored.file === file);
        const found = await hashTensors(
          file,
          own.map(({ stored }) => stored.name),
        );
        for (const { name, stored } of own) hashes.set(name, found.get(stored.name) ?? "");
      }
      return names.map((name) => hashes.get(name) ?? "");
    },
  };
}

async function readModelFile(path: string): Promise<ReadonlyMap<string, StoredTensor>> {
  const file = await readSafetensorsHeader(path);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, tensor] of file.tensors) tensors.set(name, { ...tensor, file });
  // Tied tensors are stored once: save_model of safetensors keeps one and notes `left out: kept` in the metadata.
  for (const [leftOut, kept] of file.metadata) {
    const stored = tensors.get(kept);
    if (stored !== undefined && !tensors.has(leftOut)) tensors.set(leftOut, stored);
  }
  return tensors;
}

/** Every listed tensor in the shard the index says, none in two shards, none unlisted. */
async function readShards(directory: string): Promise<ReadonlyMap<string, StoredTensor>> {
  const indexPath = join(directory, INDEX_NAME);
  const shardOf = await readShardIndex(indexPath);
  const tensors = new Map<string, StoredTensor>();
  for (const shard of [...new Set(shardOf.values())].toSorted()) {
    await refuseEscape(directory, shard);
    const file = await readSafetensorsHeader(join(directory, shard));
    for (const [name, tensor] of file.tensors) {
      const listed = shardOf.get(name);
      if (listed !== shard) {
        const where = listed === undefined ? "no shard" : listed;
        throw new CheckpointError(
          `${indexPath}: expected tensor ${quote(name)} in ${where}, as weight_map says, found it in ${shard}. Get the complete checkpoint again.`,
        );
      }
      tensors.set(name, { ...tensor, file });
    }
  }
  for (const [name, shard] of shardOf) {
    if (tensors.has(name)) continue;
    throw new CheckpointError(
      `${join(directory, shard)}: expected tensor ${quote(name)}, as ${INDEX_NAME} says, found none. Get the complete checkpoint again.`,
    );
  }
  return tensors;
}

/** A link out of the folder is refused, except into `blobs` of the hub's own cache, whose snapshots are all links. */
async function refuseEscape(directory: string, shard: string): Promise<void> {
  const folder = await realpath(directory);
  const target = await realpath(join(directory, shard)).catch(() => {
    throw new CheckpointError(
      `${join(directory, shard)}: expected this shard, as ${INDEX_NAME} says, found no such file. Get the complete checkpoint.`,
    );
  });
  const allowed = [folder, join(folder, "..", "..", "blobs")];
  if (allowed.some((parent) => target.startsWith(parent + sep))) return;
  throw new CheckpointError(
    `${join(directory, shard)}: expected a shard inside the folder, found a link to ${target}. Copy the file into the folder.`,
  );
}

async function readConfig(directory: string): Promise<unknown> {
  const path = join(directory, "config.json");
  const isMissing = await stat(path).then(
    () => false,
    (error: unknown) => error instanceof Error && "code" in error && error.code === "ENOENT",
  );
  if (isMissing) return undefined;
  const text = await readText(path, "a config.json", MAX_CONFIG_BYTES);
  try {
    return JSON.parse(text);
  } catch (error) {
    // The reason quotes the file.
    const reason = printable(error instanceof Error ? error.message : String(error));
    throw new CheckpointError(`${path}: expected JSON, found a mistake (${reason}). Get the file again.`);
  }
}

function refuseAdapter(path: string, names: ReadonlySet<string>): void {
  if (names.has("adapter_config.json") || names.has("adapter_model.safetensors")) throw adapterFound(path, "");
}

function adapterFound(path: string, sign: string): CheckpointError {
  return new CheckpointError(
    `${path}: expected a full checkpoint, found a LoRA adapter${sign}. Merge it into its base first (merge_and_unload of peft) and save the result.`,
  );
}

function noModel(path: string, names: ReadonlySet<string>): CheckpointError {
  const pickle = [...names].find((name) => /\.(bin|pt|pth|ckpt)$/.test(name));
  if (pickle !== undefined) {
    return new CheckpointError(
      `${path}: expected ${MODEL_NAME}, found only ${pickle}, a PyTorch file. Convert it to safetensors where PyTorch is installed (model.save_pretrained(path, safe_serialization=True)).`,
    );
  }
  const other = [...names].filter((name) => name.endsWith(".safetensors")).slice(0, 3);
  const found = other.length > 0 ? other.join(", ") : `${names.size} other entries`;
  const action = other.length > 0 ? "Give the path of the file you mean" : "Check the path";
  return new CheckpointError(
    `${path}: expected ${MODEL_NAME} or ${INDEX_NAME} in this folder, found ${found}. ${action}.`,
  );
}
