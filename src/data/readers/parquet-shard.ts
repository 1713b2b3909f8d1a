/**
 * One parquet file of a data set: its columns, what the Hugging Face metadata says about them, and the
 * values of a column. Knows nothing of examples, labels or the other shards. Decoding is done by a thread of its own
 * (`parquet-worker.ts`), which is ended when a damaged file makes it loop.
 */
import { stat } from "node:fs/promises";
import type { FileMetaData } from "hyparquet";
import { z } from "zod";
import { DataError, UserError } from "../../errors.js";
import { parseBoundedJson } from "../../runtime/bounded-json.js";
import { watchedThread } from "../../runtime/watched-thread.js";
import type { ParquetAnswer, ParquetRequest } from "./parquet-protocol.js";

/** Rows of one file; as many as a manifest may have. Claims of more would only make room for them. */
const MAX_ROWS = 20_000_000;
/** What the objects of a column of that many rows take, and what damaged files may. */
const HEAP_MB = 4096;
/** Work that any request may take, and more for each byte of the file and each row: some ten times of what slow machines take. */
const WORK_MS = 5000;
const BYTES_PER_MS = 2000;
const ROWS_PER_MS = 100;

/** One for the process: requests wait for each other, as they did when they shared the main thread. */
const decoder = watchedThread<ParquetRequest, ParquetAnswer>(new URL("./parquet-worker.js", import.meta.url), HEAP_MB);

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
  /** Those that can hold encoded files (structs, and bytes that are not said to be text), and those of texts (bytes that are, or may be). */
  readonly holding: { readonly bytes: readonly string[]; readonly texts: readonly string[] };
  readonly features: ReadonlyMap<string, Feature>;
}

/** Opens a file and reads its metadata. Throws DataError when it is no parquet file. */
export async function openShard(path: string): Promise<Shard> {
  const metadata = await decoded(path, { kind: "metadata", path }, 0);
  if (!("schema" in metadata)) throw new TypeError(`${path}: the decoder answered rows for metadata`);
  checkRows(metadata, path);
  const [root, ...elements] = metadata.schema;
  // The schema is a tree in depth-first order; top-level columns are found by skipping what is below each.
  const columns: string[] = [];
  const holding = { bytes: [] as string[], texts: [] as string[] };
  for (let at = 0; at < elements.length && columns.length < (root?.num_children ?? 0); at++) {
    const element = elements[at];
    const name = element?.name ?? "";
    columns.push(name);
    if ((element?.num_children ?? 0) > 0 || isBytes(element)) holding.bytes.push(name);
    if ((element?.num_children ?? 0) === 0 && (isBytes(element) || isText(element))) holding.texts.push(name);
    for (let below = element?.num_children ?? 0; below > 0 && at < elements.length; below--)
      below += elements[++at]?.num_children ?? 0;
  }
  return { path, metadata, columns, holding, features: readFeatures(metadata) };
}

function isBytes(element: FileMetaData["schema"][number] | undefined): boolean {
  return element?.type === "BYTE_ARRAY" && element.converted_type === undefined && element.logical_type === undefined;
}

function isText(element: FileMetaData["schema"][number] | undefined): boolean {
  return (
    element?.type === "BYTE_ARRAY" && (element.converted_type === "UTF8" || element.logical_type?.type === "STRING")
  );
}

/** Numbers of rows become sizes of arrays: they must be numbers of rows, and those of the groups those of the file. */
function checkRows({ num_rows, row_groups }: FileMetaData, path: string): void {
  const counts = row_groups.map((group) => Number(group.num_rows));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const isSound = counts.every((count) => Number.isSafeInteger(count) && count >= 0) && total === Number(num_rows);
  if (!isSound)
    throw new DataError(
      `${path}: expected row groups of ${num_rows} rows together, as the file says, found ${total}; download it again`,
    );
  if (total > MAX_ROWS)
    throw new DataError(`${path}: expected at most ${MAX_ROWS} rows in a file, found ${total}; split it into shards`);
}

/** Column features of the `huggingface` metadata; empty when there is none or it is not what the hub writes. */
function readFeatures(metadata: FileMetaData): ReadonlyMap<string, Feature> {
  const text = metadata.key_value_metadata?.find(({ key }) => key === "huggingface")?.value;
  const features = new Map<string, Feature>();
  if (text === undefined) return features;
  let json: unknown;
  try {
    json = parseBoundedJson(text);
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

/** Values of `column` in rows `rowStart` .. `rowEnd - 1`; texts as their bytes where that is asked. Throws DataError when they cannot be read. */
export async function readColumn(
  { path }: Shard,
  column: string,
  rowStart: number,
  rowEnd: number,
  { asBytes = false }: { readonly asBytes?: boolean } = {},
): Promise<readonly unknown[]> {
  const values = await decoded(path, { kind: "column", path, column, rowStart, rowEnd, asBytes }, rowEnd - rowStart);
  if ("schema" in values) throw new TypeError(`${path}: the decoder answered metadata for rows`);
  if (values.length !== rowEnd - rowStart)
    throw new DataError(
      `${path}: column ${column}: expected ${rowEnd - rowStart} rows, found ${values.length}; download it again`,
    );
  return values;
}

/** What the decoder answers. What the library throws, or a request that does not end, becomes a DataError that names the file. */
async function decoded(path: string, request: ParquetRequest, rows: number): Promise<ParquetAnswer> {
  const bytes = (await stat(path).catch(() => undefined))?.size ?? 0;
  try {
    return await decoder.ask(request, WORK_MS + bytes / BYTES_PER_MS + rows / ROWS_PER_MS);
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new DataError(`${path}: expected a readable parquet file, found: ${reason}; download it again`, {
      cause: error,
    });
  }
}
