/**
 * Reading safetensors files by ranges, never whole: the header, and one tensor at a time as float32.
 * Little-endian, row-major. What the header may contain is in safetensors-header.ts, writing in safetensors-writer.ts.
 */
import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { CheckpointError } from "../errors.js";
import { decodeBfloat16, decodeFloat16 } from "./float16.js";
import { describeForeignFile, SNIFF_BYTES } from "./foreign-file.js";
import { quote } from "./json-cursor.js";
import { headerLength, LENGTH_BYTES, parseHeader, type TensorEntry } from "./safetensors-header.js";

export type { TensorEntry } from "./safetensors-header.js";
export { writeSafetensors, writeSafetensorsStream } from "./safetensors-writer.js";

/** One read() takes less than 2 GiB; smaller pieces let other work in between. */
const READ_BYTES = 64 * 1024 * 1024;

export interface SafetensorsFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Modification time at the reading of the header; a file that changes later is refused. */
  readonly modifiedMs: number;
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
  const file = await openRegular(path);
  try {
    const { size: sizeBytes, mtimeMs: modifiedMs } = await file.stat();
    const first = new Uint8Array(Math.min(SNIFF_BYTES, sizeBytes));
    await readExactly(file, first, 0, path);
    try {
      const header = new Uint8Array(headerLength(first, sizeBytes, path));
      await readExactly(file, header, LENGTH_BYTES, path);
      return { path, sizeBytes, modifiedMs, ...parseHeader(header, sizeBytes, path) };
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

/** The raw bytes of one tensor in pieces of at most 64 MiB, for hashing; same errors as `readTensorFloat32`. */
export async function* readTensorBytes(file: SafetensorsFile, name: string): AsyncGenerator<Uint8Array> {
  const entry = entryOf(file, name);
  const handle = await openUnchanged(file);
  try {
    const piece = new Uint8Array(Math.min(READ_BYTES, entry.byteLength));
    for (let done = 0; done < entry.byteLength; done += piece.length) {
      const part = piece.subarray(0, Math.min(piece.length, entry.byteLength - done));
      await readExactly(handle, part, entry.byteOffset + done, file.path);
      yield part;
    }
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
  const bytes = new Uint8Array(byteLength);
  const handle = await openRegular(path);
  try {
    await readExactly(handle, bytes, byteOffset, path);
  } finally {
    await handle.close();
  }
  return bytes;
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
  } finally {
    await handle.close();
  }
}

/** Opens the file again and refuses it if it is not the one whose header was validated. */
async function openUnchanged(file: SafetensorsFile): Promise<FileHandle> {
  const handle = await openRegular(file.path);
  const { size, mtimeMs } = await handle.stat();
  if (size === file.sizeBytes && mtimeMs === file.modifiedMs) return handle;
  await handle.close();
  throw new CheckpointError(
    `${file.path}: expected the file of ${file.sizeBytes} bytes that was opened, found one that changed meanwhile (${size} bytes). Do not write to checkpoints in use; start again.`,
  );
}

/** Opens a regular file. Tested before opening, because opening a FIFO waits for its writer. */
async function openRegular(path: string): Promise<FileHandle> {
  try {
    const found = await stat(path);
    if (found.isFile()) return await open(path, constants.O_RDONLY);
    const kind = found.isDirectory() ? "a directory" : "a device, pipe or socket";
    throw new CheckpointError(`${path}: expected a safetensors file, found ${kind}. Give the path of the file.`);
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CheckpointError(`${path}: expected a readable file (${reason}). Check the path and its permissions.`);
  }
}

/** Fills `bytes` from `offset` on; a file that ends earlier is an error. */
async function readExactly(file: FileHandle, bytes: Uint8Array, offset: number, path: string): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, Math.min(READ_BYTES, bytes.length - done), offset + done);
    if (bytesRead === 0) {
      throw new CheckpointError(
        `${path}: expected ${bytes.length} bytes at ${offset}, found only ${done}: the file became shorter while it was read. Do not write to checkpoints in use; start again.`,
      );
    }
    done += bytesRead;
  }
}
