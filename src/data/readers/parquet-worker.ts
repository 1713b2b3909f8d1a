/**
 * The thread that decodes parquet files: hyparquet may loop for ever over damaged ones, and a thread can be ended. Answers what is in a file and
 * the values of a column; buffers of binary values move to the asking thread. Asked by `parquet-shard.ts`.
 */
// First: it replaces what the others take from the global object.
import "./parquet-allowance.js";
import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors as packaged } from "hyparquet-compressors";
import { DataError } from "../../errors.js";
import { openRegular, readExactly } from "../../runtime/regular-file.js";
import { answerRequests } from "../../runtime/watched-thread.js";
import { allowBytesRead, beginAllowance } from "./parquet-allowance.js";
import { decompressLz4, decompressLz4Raw } from "./parquet-lz4.js";
import type { ParquetAnswer, ParquetRequest } from "./parquet-protocol.js";

const compressors = { ...packaged, LZ4: decompressLz4, LZ4_RAW: decompressLz4Raw };

/** Metadata by path, as read last. A new thread reads it again. */
const known = new Map<string, FileMetaData>();

answerRequests<ParquetRequest, ParquetAnswer>(async (request) => {
  const { path } = request;
  const file = await openRegular(path, "a parquet file", DataError);
  try {
    const { size } = await file.stat();
    const buffer: AsyncBuffer = {
      byteLength: size,
      slice: async (start, end = size) => {
        const length = Math.max(0, Math.min(end, size) - start);
        allowBytesRead(length);
        const bytes = new ArrayBuffer(length);
        await readExactly(file, new Uint8Array(bytes), start, path, DataError);
        return bytes;
      },
    };
    if (request.kind === "metadata") {
      // Each entry of its lists takes a byte at least.
      beginAllowance(size);
      const metadata = await parquetMetadataAsync(buffer);
      known.set(path, metadata);
      return { answer: metadata };
    }
    const { column, rowStart, rowEnd, asBytes } = request;
    beginAllowance(0);
    const metadata = known.get(path) ?? (await parquetMetadataAsync(buffer));
    known.set(path, metadata);
    beginAllowance(rowEnd - rowStart);
    // utf8 would decode plain binary columns as text.
    const options = { file: buffer, metadata, columns: [column], rowStart, rowEnd, utf8: false, compressors };
    const parsers = asBytes === true ? { parsers: { stringFromBytes: storedBytes } } : {};
    const rows = await parquetReadObjects({ ...options, ...parsers });
    const values = rows.map((row: Readonly<Record<string, unknown>>) => row[column]);
    return { answer: values, moved: buffersOf(values) };
  } finally {
    await file.close();
  }
});

function storedBytes(bytes: Uint8Array): Uint8Array {
  return bytes;
}

/** The buffers behind binary values, each once. */
function buffersOf(values: readonly unknown[]): readonly ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const value of values) {
    const bytes = typeof value === "object" && value !== null && "bytes" in value ? value.bytes : value;
    if (bytes instanceof Uint8Array && bytes.buffer instanceof ArrayBuffer) buffers.add(bytes.buffer);
  }
  return [...buffers];
}
