/**
 * Reading safetensors files by ranges, never whole: the header, and one tensor at a time as float32.
 * Little-endian, row-major. What the header may contain is in safetensors-header.ts, writing in safetensors-writer.ts.
 */
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import { openRegular, readExactly } from "../runtime/regular-file.js";
import { describeForeignFile, SNIFF_BYTES } from "./foreign-file.js";
import { headerLength, LENGTH_BYTES, parseHeader, type TensorEntry } from "./safetensors-header.js";
import { type CheckpointFile, identityOf, readStoredFloat32 } from "./stored-tensor.js";

export type { TensorEntry } from "./safetensors-header.js";
export { writeSafetensors, writeSafetensorsStream } from "./safetensors-writer.js";

const WHAT = "a safetensors file";

export interface SafetensorsFile extends CheckpointFile {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/**
 * Reads and validates the header of a safetensors file. Throws CheckpointError if the file is missing, is not a
 * regular file, is another kind of file (which is named), or breaks any rule of the format.
 */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsFile> {
  const file = await openRegular(path, WHAT);
  try {
    const identity = await identityOf(file, path);
    const { sizeBytes } = identity;
    const first = new Uint8Array(Math.min(SNIFF_BYTES, sizeBytes));
    await readExactly(file, first, 0, path);
    try {
      const header = new Uint8Array(headerLength(first, sizeBytes, path));
      await readExactly(file, header, LENGTH_BYTES, path);
      return { ...identity, ...parseHeader(header, sizeBytes, path) };
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

/** Reads one tensor as `readStoredFloat32`. Throws CheckpointError for an unknown name too. */
export async function readTensorFloat32(file: SafetensorsFile, name: string): Promise<Float32Array> {
  return readStoredFloat32({ ...entryOf(file, name), file });
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
