/**
 * One parquet file of an image data set: its columns, what the Hugging Face metadata says about them, and the
 * values of a column. Knows nothing of images, labels or the other shards.
 */
import { asyncBufferFromFile, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors as packaged } from "hyparquet-compressors";
import { z } from "zod";
import { DataError } from "../errors.js";
import { decompressLz4, decompressLz4Raw } from "./parquet-lz4.js";

const compressors = { ...packaged, LZ4: decompressLz4, LZ4_RAW: decompressLz4Raw };

/** What the `huggingface` metadata says about a column; only the parts that are used. */
const featureSchema = z.object({ _type: z.string().optional(), names: z.array(z.string()).optional() });
const metadataSchema = z.object({ info: z.object({ features: z.record(z.string(), z.unknown()) }) });
export type Feature = z.infer<typeof featureSchema>;

export interface Shard {
  /** The file. */
  readonly path: string;
  readonly metadata: FileMetaData;
  /** Top-level columns, in the order of the file. */
  readonly columns: readonly string[];
  /** Those that can hold encoded images: structs, and bytes that are not said to be text. */
  readonly byteColumns: readonly string[];
  readonly features: ReadonlyMap<string, Feature>;
}

/** Opens a file and reads its metadata. Throws DataError when it is no parquet file. */
export async function openShard(path: string): Promise<Shard> {
  const metadata = await reading(path, async () => parquetMetadataAsync(await asyncBufferFromFile(path)));
  const [root, ...elements] = metadata.schema;
  // The schema is a tree in depth-first order; top-level columns are found by skipping what is below each.
  const columns: string[] = [];
  const byteColumns: string[] = [];
  for (let at = 0; at < elements.length && columns.length < (root?.num_children ?? 0); at++) {
    const element = elements[at];
    columns.push(element?.name ?? "");
    if ((element?.num_children ?? 0) > 0 || isBytes(element)) byteColumns.push(element?.name ?? "");
    for (let below = element?.num_children ?? 0; below > 0; below--) below += elements[++at]?.num_children ?? 0;
  }
  return { path, metadata, columns, byteColumns, features: readFeatures(metadata) };
}

function isBytes(element: FileMetaData["schema"][number] | undefined): boolean {
  return element?.type === "BYTE_ARRAY" && element.converted_type === undefined && element.logical_type === undefined;
}

/** Column features of the `huggingface` metadata; empty when there is none or it is not what the hub writes. */
function readFeatures(metadata: FileMetaData): ReadonlyMap<string, Feature> {
  const text = metadata.key_value_metadata?.find(({ key }) => key === "huggingface")?.value;
  const features = new Map<string, Feature>();
  if (text === undefined) return features;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return features;
  }
  const parsed = metadataSchema.safeParse(json);
  for (const [name, value] of Object.entries(parsed.success ? parsed.data.info.features : {})) {
    const feature = featureSchema.safeParse(value);
    if (feature.success) features.set(name, feature.data);
  }
  return features;
}

/** Values of `column` in rows `rowStart` .. `rowEnd - 1`. Throws DataError when they cannot be read. */
export async function readColumn(
  shard: Shard,
  column: string,
  rowStart: number,
  rowEnd: number,
): Promise<readonly unknown[]> {
  const rows = await reading(shard.path, async () => {
    const file = await asyncBufferFromFile(shard.path);
    // utf8 would decode plain binary columns, which are images here, as text.
    const options = { file, metadata: shard.metadata, columns: [column], rowStart, rowEnd, utf8: false, compressors };
    return parquetReadObjects(options);
  });
  if (rows.length !== rowEnd - rowStart)
    throw new DataError(
      `${shard.path}: column ${column}: expected ${rowEnd - rowStart} rows, found ${rows.length}; download it again`,
    );
  return rows.map((row: Readonly<Record<string, unknown>>) => row[column]);
}

/** Runs a read of the parquet library; what it throws becomes a DataError that names the file. */
async function reading<Result>(path: string, read: () => Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DataError(`${path}: expected a readable parquet file, found: ${reason}; download it again`, {
      cause: error,
    });
  }
}
