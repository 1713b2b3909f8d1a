/**
 * Saving a checkpoint as the Hugging Face folder that `from_pretrained` of transformers loads: config.json,
 * model.safetensors (or shards with their index), and preprocessor_config.json, README.md and files of the model it comes from when given.
 * The folder appears whole or not at all, and one tensor at a time is in memory.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Replacing, withAtomicDirectory } from "../runtime/atomic-file.js";
import { type Companion, copyCompanions } from "./companions.js";
import { byteLengthOf, type WriteData, type WriteSpec, writeSafetensorsStream } from "./safetensors-writer.js";
import { INDEX_NAME, shardName } from "./shard-index.js";

/** The limit at which the hub's own tools split files (5 GB, decimal). */
export const DEFAULT_MAX_SHARD_BYTES = 5_000_000_000;

export interface SaveCheckpointOptions {
  /** Written as config.json: a text as it stands, any other value as JSON. */
  readonly config: unknown;
  /** Written as preprocessor_config.json, if given, in the same way. */
  readonly preprocessor?: unknown;
  /** Copied into the folder; none called as what is written here. */
  readonly companions?: readonly Companion[];
  /** Written as README.md (the model card), if given. */
  readonly readme?: string;
  /** Writes what else belongs to the model into its folder; no files called as those here. */
  readonly beside?: (folder: string) => Promise<void>;
  readonly specs: readonly WriteSpec[];
  /** Values of one tensor, asked for one at a time; float32 for F32, F16 and BF16, or bytes of its dtype. */
  readonly data: (name: string) => Promise<WriteData> | WriteData;
  readonly maxShardBytes?: number;
  /**
   * Replaces an existing checkpoint; without it a folder that is not empty is refused. `true`: one that has only files as are written here, by
   * their names; people's folders are asked for more (`formerCheckpoint`).
   */
  readonly replace?: boolean | Replacing | undefined;
}

/**
 * Writes a checkpoint folder at `directory`. Throws UserError if it exists and is not empty (unless `replace`) or the
 * disk refuses, CheckpointError for tensors that cannot be written; nothing is left behind then.
 */
export async function saveCheckpoint(directory: string, options: SaveCheckpointOptions): Promise<void> {
  const fill = async (folder: string) => {
    await writeFile(join(folder, "config.json"), textOf(options.config));
    if (options.preprocessor !== undefined) {
      await writeFile(join(folder, "preprocessor_config.json"), textOf(options.preprocessor));
    }
    await copyCompanions(options.companions ?? [], folder);
    if (options.readme !== undefined) await writeFile(join(folder, "README.md"), options.readme);
    await options.beside?.(folder);
    await writeModel(folder, options);
  };
  await withAtomicDirectory(directory, fill, { replace: replacing(options.replace), manifest: true });
}

const WRITTEN =
  /^(?:config\.json|preprocessor_config\.json|README\.md|model(?:-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json)$/;

function replacing(replace: SaveCheckpointOptions["replace"]): Replacing | undefined {
  if (typeof replace === "object") return replace;
  return replace === true ? { recognise: async () => (name) => WRITTEN.test(name) } : undefined;
}

async function writeModel(folder: string, options: SaveCheckpointOptions): Promise<void> {
  const shards = splitIntoShards(options.specs, options.maxShardBytes ?? DEFAULT_MAX_SHARD_BYTES);
  // transformers refuses a safetensors file whose metadata does not name a framework.
  const metadata = { format: "pt" };
  const [only] = shards;
  if (only !== undefined && shards.length === 1) {
    return writeSafetensorsStream(join(folder, "model.safetensors"), only, options.data, { metadata });
  }
  const weightMap: [string, string][] = [];
  for (const [i, specs] of shards.entries()) {
    const name = shardName(i + 1, shards.length);
    await writeSafetensorsStream(join(folder, name), specs, options.data, { metadata });
    for (const spec of specs) weightMap.push([spec.name, name]);
  }
  await writeFile(join(folder, INDEX_NAME), shardIndexText(options.specs, weightMap));
}

/** model.safetensors.index.json of tensors in shards; `weightMap` has the file name of each. */
export function shardIndexText(specs: readonly WriteSpec[], weightMap: Iterable<readonly [string, string]>): string {
  const totalBytes = specs.reduce((sum, spec) => sum + byteLengthOf(spec), 0);
  return toJson({ metadata: { total_size: totalBytes }, weight_map: Object.fromEntries(weightMap) });
}

/** In the order given; a tensor larger than the limit gets a shard of its own. Always at least one shard. */
export function splitIntoShards(specs: readonly WriteSpec[], maxShardBytes: number): WriteSpec[][] {
  let current: WriteSpec[] = [];
  const shards = [current];
  let sizeBytes = 0;
  for (const spec of specs) {
    const bytes = byteLengthOf(spec);
    if (current.length > 0 && sizeBytes + bytes > maxShardBytes) {
      current = [];
      shards.push(current);
      sizeBytes = 0;
    }
    current.push(spec);
    sizeBytes += bytes;
  }
  return shards;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : toJson(value);
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
