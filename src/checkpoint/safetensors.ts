/**
 * Reading safetensors files by ranges, never whole: the header, and one tensor at a time as float32.
 * Little-endian, row-major. What the header may contain is in safetensors-header.ts, writing in safetensors-writer.ts.
 */
import { createHash } from "node:crypto";
import type { Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { CheckpointError } from "../errors.js";
import { decodeBfloat16, decodeFloat16 } from "./float16.js";
import { describeForeignFile, SNIFF_BYTES } from "./foreign-file.js";
import { quote } from "./json-cursor.js";
import { openRegular, READ_BYTES, readExactly } from "./regular-file.js";
import { headerLength, LENGTH_BYTES, parseHeader, type TensorEntry } from "./safetensors-header.js";

export type { TensorEntry } from "./safetensors-header.js";
export { writeSafetensors, writeSafetensorsStream } from "./safetensors-writer.js";

const WHAT = "a safetensors file";

export interface SafetensorsFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Modification time and inode at the reading of the header; a file that changes later or is replaced is refused. */
  readonly modifiedMs: number;
  readonly inode: number;
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** Whether `readTensorFloat32` can read this dtype. */
export function isFloatDtype(dtype: string): boolean {
  return dtype === "F32" || dtype === "F16" || dtype === "BF16";
}

/**
 * Reads and validates the header of a safetensors file. Throws CheckpointError if the file is missing, is not a
 * regular file, is another kind of file (which is named), or breaks any rule of the format.
 */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsFile> {
  const file = await openRegular(path, WHAT);
  try {
    const { size: sizeBytes, mtimeMs: modifiedMs, ino: inode } = await file.stat();
    const first = new Uint8Array(Math.min(SNIFF_BYTES, sizeBytes));
    await readExactly(file, first, 0, path);
    try {
      const header = new Uint8Array(headerLength(first, sizeBytes, path));
      await readExactly(file, header, LENGTH_BYTES, path);
      return { path, sizeBytes, modifiedMs, inode, ...parseHeader(header, sizeBytes, path) };
    } catch (error) {
      // Only a file that failed is sniffed: the magic numbers are also legal header lengths.
      const foreign = describeForeignFile(first);
      if (foreign === undefined) throw error;
      throw new CheckpointError(`${path}: expected a safetensors file, found ${foreign.is}. ${foreign.action}.`);
    }
  } finally {
    await file.close();
  }
}

/**
 * Reads one tensor as float32 [product of its shape], decoding F16 and BF16. The result is a copy of its own.
 * Throws CheckpointError for an unknown name, another dtype, or a file that changed since its header was read.
 */
export async function readTensorFloat32(file: SafetensorsFile, name: string): Promise<Float32Array> {
  const entry = entryOf(file, name);
  const { dtype, byteLength } = entry;
  if (!isFloatDtype(dtype)) {
    throw new CheckpointError(
      `${file.path}: tensor ${quote(name)}: expected dtype F32, F16 or BF16, found ${dtype}. Save the checkpoint again in one of these.`,
    );
  }
  if (dtype === "F32") {
    const values = new Float32Array(byteLength / 4);
    await readInto(file, entry, new Uint8Array(values.buffer));
    return values;
  }
  const bits = new Uint16Array(byteLength / 2);
  await readInto(file, entry, new Uint8Array(bits.buffer));
  return dtype === "F16" ? decodeFloat16(bits) : decodeBfloat16(bits);
}

/**
 * Hex sha256 over dtype, shape and bytes of each named tensor, in one pass over the file in pieces of at most 64 MiB; same errors as
 * `readTensorFloat32`.
 */
export async function hashTensors(file: SafetensorsFile, names: readonly string[]): Promise<Map<string, string>> {
  const entries = names.map((name) => ({ ...entryOf(file, name), name })).sort((a, b) => a.byteOffset - b.byteOffset);
  const largest = entries.reduce((most, { byteLength }) => Math.max(most, byteLength), 0);
  const piece = new Uint8Array(Math.min(READ_BYTES, largest));
  const hashes = new Map<string, string>();
  const handle = await openUnchanged(file);
  try {
    for (const { name, dtype, shape, byteOffset, byteLength } of entries) {
      const hash = createHash("sha256").update(`${dtype} ${shape.join(",")}\n`);
      for (let done = 0; done < byteLength; done += piece.length) {
        const part = piece.subarray(0, Math.min(piece.length, byteLength - done));
        await readExactly(handle, part, byteOffset + done, file.path);
        hash.update(part);
      }
      hashes.set(name, hash.digest("hex"));
    }
    requireUnchanged(file, await handle.stat());
    return hashes;
  } finally {
    await handle.close();
  }
}

/**
 * Reads `byteLength` bytes of float32 from `byteOffset` on, from a file whose header was validated before and which
 * never changes afterwards (a bundle). Throws CheckpointError if the file is gone or shorter.
 */
export async function readFloat32Range(path: string, byteOffset: number, byteLength: number): Promise<Float32Array> {
  return new Float32Array((await readByteRange(path, byteOffset, byteLength)).buffer);
}

/** As `readFloat32Range`, but the bytes as they are, in a buffer of their own. */
export async function readByteRange(
  path: string,
  byteOffset: number,
  byteLength: number,
): Promise<Uint8Array<ArrayBuffer>> {
  return withRanges(path, (read) => read(byteOffset, byteLength));
}

/** Bytes of one file, in a buffer of their own. */
export type ReadRange = (byteOffset: number, byteLength: number) => Promise<Uint8Array<ArrayBuffer>>;

/** Opens the file once for all the ranges that `work` reads. Throws CheckpointError as `readFloat32Range`. */
export async function withRanges<T>(path: string, work: (read: ReadRange) => Promise<T>): Promise<T> {
  const handle = await openRegular(path, WHAT);
  try {
    return await work(async (byteOffset, byteLength) => {
      const bytes = new Uint8Array(byteLength);
      await readExactly(handle, bytes, byteOffset, path);
      return bytes;
    });
  } finally {
    await handle.close();
  }
}

function entryOf(file: SafetensorsFile, name: string): TensorEntry {
  const entry = file.tensors.get(name);
  if (entry !== undefined) return entry;
  throw new CheckpointError(
    `${file.path}: expected a tensor ${quote(name)}, found ${file.tensors.size} others. Check that this is the checkpoint you mean.`,
  );
}

async function readInto(file: SafetensorsFile, entry: TensorEntry, bytes: Uint8Array): Promise<void> {
  const handle = await openUnchanged(file);
  try {
    await readExactly(handle, bytes, entry.byteOffset, file.path);
    requireUnchanged(file, await handle.stat());
  } finally {
    await handle.close();
  }
}

/** Opens the file again and refuses it if it is not the one whose header was validated. */
async function openUnchanged(file: SafetensorsFile): Promise<FileHandle> {
  const handle = await openRegular(file.path, WHAT);
  try {
    requireUnchanged(file, await handle.stat());
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function requireUnchanged(file: SafetensorsFile, { size, mtimeMs, ino }: Stats): void {
  if (size === file.sizeBytes && mtimeMs === file.modifiedMs && ino === file.inode) return;
  throw new CheckpointError(
    `${file.path}: expected the file of ${file.sizeBytes} bytes that was opened, found one that changed meanwhile (${size} bytes). Do not write to checkpoints in use; start again.`,
  );
}
