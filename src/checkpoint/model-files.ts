/**
 * The files of one model as tensors by name: a safetensors or PyTorch file, told apart by what is in it, or the shards that an index lists.
 * Only headers are read. Which file of a folder it is, is chosen in checkpoint.ts.
 */
import { join } from "node:path";
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import { openRegular, readExactly } from "../runtime/regular-file.js";
import { requireInside } from "./inside-folder.js";
import { readSafetensorsHeader } from "./safetensors.js";
import { readShardIndex } from "./shard-index.js";
import { elementBytes, type StoredTensor } from "./stored-tensor.js";
import { isZip, readTorchFile } from "./torch/torch-file.js";

const MAGIC_BYTES = 4;
/** Notes about tied tensors may name one tensor again and again; what is read must stay near what is stored, as in PyTorch's files. */
const MOST_DECODED = 4;

export interface ModelTensors {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly format: "safetensors" | "pytorch";
}

/** A file called .safetensors must be one; any other is what its first bytes say. */
export async function readModelFile(path: string): Promise<ModelTensors> {
  if (!path.endsWith(".safetensors") && (await isArchive(path)))
    return { tensors: await readTorchFile(path), format: "pytorch" };
  const file = await readSafetensorsHeader(path);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, tensor] of file.tensors) tensors.set(name, { ...tensor, file });
  // Tied tensors are stored once: save_model of safetensors keeps one and notes `left out: kept` in the metadata.
  let decodedBytes = file.sizeBytes;
  for (const [leftOut, kept] of file.metadata) {
    const stored = tensors.get(kept);
    if (stored === undefined || tensors.has(leftOut)) continue;
    decodedBytes += elementBytes(stored);
    if (decodedBytes > MOST_DECODED * file.sizeBytes)
      throw new CheckpointError(
        `${path}: expected notes about tied tensors (in __metadata__) that make the tensors at most ${MOST_DECODED} times the size of the file, found more, up to ${quote(leftOut)}. Get the file again from its source.`,
      );
    tensors.set(leftOut, stored);
  }
  return { tensors, format: "safetensors" };
}

async function isArchive(path: string): Promise<boolean> {
  const file = await openRegular(path, "a checkpoint file");
  try {
    const first = new Uint8Array(Math.min(MAGIC_BYTES, (await file.stat()).size));
    await readExactly(file, first, 0, path);
    return isZip(first);
  } finally {
    await file.close();
  }
}

/** Every listed tensor in the shard the index says, none in two shards, none unlisted. */
export async function readShards(directory: string, indexName: string): Promise<ModelTensors> {
  const indexPath = join(directory, indexName);
  const shardOf = await readShardIndex(indexPath);
  const tensors = new Map<string, StoredTensor>();
  let format: ModelTensors["format"] = "safetensors";
  for (const shard of [...new Set(shardOf.values())].toSorted()) {
    await requireInside(directory, shard, "a shard", `this shard, as ${indexName} says`);
    const file = await readShard(join(directory, shard));
    if (file.format === "pytorch") format = "pytorch";
    for (const [name, tensor] of file.tensors) {
      const listed = shardOf.get(name);
      if (listed !== shard) {
        const where = listed === undefined ? "no shard" : listed;
        throw new CheckpointError(
          `${indexPath}: expected tensor ${quote(name)} in ${where}, as weight_map says, found it in ${shard}. Get the complete checkpoint again.`,
        );
      }
      tensors.set(name, tensor);
    }
  }
  for (const [name, shard] of shardOf) {
    if (tensors.has(name)) continue;
    throw new CheckpointError(
      `${join(directory, shard)}: expected tensor ${quote(name)}, as ${indexName} says, found none. Get the complete checkpoint again.`,
    );
  }
  return { tensors, format };
}

/** Without the notes about tied tensors, which an index lists itself. */
async function readShard(path: string): Promise<ModelTensors> {
  if (!path.endsWith(".safetensors") && (await isArchive(path)))
    return { tensors: await readTorchFile(path), format: "pytorch" };
  const file = await readSafetensorsHeader(path);
  return {
    tensors: new Map([...file.tensors].map(([name, tensor]) => [name, { ...tensor, file }])),
    format: "safetensors",
  };
}
