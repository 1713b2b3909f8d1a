/**
 * Opening a checkpoint: a Hugging Face folder (config.json, and model.safetensors, pytorch_model.bin or their shards) or one file of tensors.
 * Only headers are read here; values come tensor by tensor. Saving is in save-checkpoint.ts, models of suites are opened by model/open-models.ts.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import { readText } from "../runtime/regular-file.js";
import { parseConfig } from "./config-text.js";
import { type ModelTensors, readModelFile, readShards } from "./model-files.js";
import { INDEX_NAME, PYTORCH_INDEX_NAME } from "./shard-index.js";
import { hashStored, readStoredFloat32, type StoredTensor } from "./stored-tensor.js";

export { type SaveCheckpointOptions, saveCheckpoint } from "./save-checkpoint.js";

export const MODEL_NAME = "model.safetensors";
export const PYTORCH_NAME = "pytorch_model.bin";
export const ADAPTER_CONFIG_NAME = "adapter_config.json";
/** What peft and, for linearised adapters, FusionBench write: one of these is in the folder of every adapter. */
export const ADAPTER_FILES = [
  ADAPTER_CONFIG_NAME,
  "adapter_model.safetensors",
  "adapter_model.bin",
  "linearized_adapter_model.safetensors",
];
/** The longest published ones, with their label names, have some 100 KB. */
export const MAX_CONFIG_BYTES = 10_000_000;
/** Parts of a tensor's name that peft and diffusers give to the factors of an adapter. */
const ADAPTER_TENSOR = /\.lora_(?:[AB]|down|up|embedding_[AB]|magnitude_vector)\b/;

/** What is known of a tensor without its values. Its name in the file, where that differs from the checkpoint's. */
export type CheckpointTensor = Pick<StoredTensor, "name" | "dtype" | "shape" | "file">;

export interface Checkpoint {
  /** As given to `openCheckpoint`. */
  readonly path: string;
  /** Parsed config.json, not validated; undefined if there is none. */
  readonly config: unknown;
  /** By the names in the files, and by those that a file declares to be tied to one of its tensors; see names.ts for canonical ones. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  readonly format: ModelTensors["format"];
  /** Whether a tensor that it lacks is the base's: an adapter that was opened with its base (adapter/adapter.ts). */
  readonly isPartial: boolean;
  /** Values of one tensor as float32 (a copy); CheckpointError for an unknown name or a dtype that is not a float. */
  readFloat32(name: string): Promise<Float32Array>;
  /** Hex sha256 over dtype, shape and bytes of each named tensor, in the order of the names; read once, then remembered. */
  tensorSha256s(names: readonly string[]): Promise<string[]>;
}

/** A checkpoint whose tensors lie in its files as they are. */
export interface StoredCheckpoint extends Checkpoint {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/**
 * Opens the checkpoint at `path` (a folder, a .safetensors or a PyTorch file) and validates its headers. Throws CheckpointError
 * that names what is there instead: whole pickled modules, LoRA adapters, git-lfs pointers, web pages, incomplete shards.
 */
export async function openCheckpoint(path: string): Promise<StoredCheckpoint> {
  const found = await stat(path).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CheckpointError(
      `${path}: expected a checkpoint folder, a .safetensors or a PyTorch file (${reason}). Check the path.`,
    );
  });
  if (!found.isDirectory()) {
    const model = await readModelFile(path);
    // Beside a file of a standard name lies the config of that model; beside any other name it could be anyone's.
    const isStandard = [MODEL_NAME, PYTORCH_NAME].includes(basename(path));
    return withoutFactors(checkpointOf(path, isStandard ? await readConfig(dirname(path)) : undefined, model));
  }
  const names = new Set(
    await readdir(path).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new CheckpointError(`${path}: expected a readable folder (${reason}). Check its permissions.`);
    }),
  );
  if (ADAPTER_FILES.some((name) => names.has(name))) throw adapterFound(path, "");
  const model = await readFolder(path, names);
  return withoutFactors(checkpointOf(path, await readConfig(path), model));
}

/** Safetensors where there are both: they are read with fewer questions. */
async function readFolder(path: string, names: ReadonlySet<string>): Promise<ModelTensors> {
  for (const [file, index] of [
    [MODEL_NAME, INDEX_NAME],
    [PYTORCH_NAME, PYTORCH_INDEX_NAME],
  ] as const) {
    if (names.has(file)) return readModelFile(join(path, file));
    if (names.has(index)) return readShards(path, index);
  }
  throw noModel(path, names);
}

/** Refuses a file with the tensors of an adapter, which by themselves are no model. */
function withoutFactors(checkpoint: StoredCheckpoint): StoredCheckpoint {
  const factor = [...checkpoint.tensors.keys()].find((name) => ADAPTER_TENSOR.test(name));
  if (factor !== undefined) throw adapterFound(checkpoint.path, ` (its tensor ${quote(factor)})`);
  return checkpoint;
}

/** A checkpoint of these tensors. `keys` of a map need not be the names in the files. */
export function checkpointOf(path: string, config: unknown, { tensors, format }: ModelTensors): StoredCheckpoint {
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
    format,
    isPartial: false,
    readFloat32: async (name) => readStoredFloat32(find(name)),
    tensorSha256s: async (names) => {
      const unknown = names.filter((name) => !hashes.has(name)).map((name) => ({ name, stored: find(name) }));
      for (const file of new Set(unknown.map(({ stored }) => stored.file))) {
        const own = unknown.filter(({ stored }) => stored.file === file);
        const found = await hashStored(
          file,
          own.map(({ stored }) => stored),
        );
        for (const { name, stored } of own) hashes.set(name, found.get(stored) ?? "");
      }
      return names.map((name) => hashes.get(name) ?? "");
    },
  };
}

export async function readConfig(directory: string): Promise<unknown> {
  const path = join(directory, "config.json");
  const isMissing = await stat(path).then(
    () => false,
    (error: unknown) => error instanceof Error && "code" in error && error.code === "ENOENT",
  );
  if (isMissing) return undefined;
  const text = await readText(path, "a config.json", MAX_CONFIG_BYTES);
  return parseConfig(text, path);
}

function adapterFound(path: string, sign: string): CheckpointError {
  return new CheckpointError(
    `${path}: expected a full checkpoint, found a LoRA adapter${sign}. A suite takes the folder of an adapter as an expert, and a merge file takes \`BASE+ADAPTER\`; elsewhere merge it into its base first (merge_and_unload of peft) and save the result.`,
  );
}

function noModel(path: string, names: ReadonlySet<string>): CheckpointError {
  const other = [...names].filter((name) => /\.(safetensors|bin|pt|pth|ckpt)$/.test(name)).slice(0, 3);
  const entries = names.size === 1 ? "1 other entry" : `${names.size} other entries`;
  const found = other.length > 0 ? other.join(", ") : `no model in it (${entries})`;
  const action = other.length > 0 ? "Give the path of the file you mean" : "Check the path";
  return new CheckpointError(
    `${path}: expected ${MODEL_NAME}, ${PYTORCH_NAME} or the index of their shards in this folder, found ${found}. ${action}.`,
  );
}
