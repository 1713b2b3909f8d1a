/**
 * A tensor as it lies in a file: a range of bytes, whatever the file's format, and the strides where its elements are not in row-major order.
 * Slices of rows and transposes of stored tensors are stored tensors themselves: nothing is read or copied to make them.
 */
import { createHash } from "node:crypto";
import type { Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import { openRegular, READ_BYTES, readExactly } from "../runtime/regular-file.js";
import { crc32 } from "./crc32.js";
import { decodeFloats, isFloatDtype, notFloats } from "./decode-floats.js";
import { DTYPE_BITS, type TensorEntry } from "./safetensors-header.js";
import { gatherView, isRowMajor, rowMajorStrides, spannedElements } from "./strided-view.js";

export { isFloatDtype } from "./decode-floats.js";

/** What tells one file from another that gets its name later. */
export interface CheckpointFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Modification time and inode at the reading of the header; a file that changes later or is replaced is refused. */
  readonly modifiedMs: number;
  readonly inode: number;
}

/** A tensor where it lies in its file. */
export interface StoredTensor extends TensorEntry {
  readonly file: CheckpointFile;
  /** In elements, where they are not those of row-major order; `byteLength` then reaches from the first element to the last one. */
  readonly strides?: readonly number[];
  /** Of its bytes, where the file has it; compared when they are hashed. */
  readonly crc32?: number;
}

/** The file that `handle` has open. */
export async function identityOf(handle: FileHandle, path: string): Promise<CheckpointFile> {
  const { size: sizeBytes, mtimeMs: modifiedMs, ino: inode } = await handle.stat();
  return { path, sizeBytes, modifiedMs, inode };
}

/** A tensor in row-major or other order whose first element is at `byteOffset`. */
export function storedView(
  tensor: Pick<StoredTensor, "name" | "dtype" | "shape" | "byteOffset" | "file">,
  strides: readonly number[],
): StoredTensor {
  const { name, dtype, shape, byteOffset, file } = tensor;
  const byteLength = spannedElements(shape, strides) * itemBytes(dtype);
  const range = { name, dtype, shape, byteOffset, byteLength, file };
  return isRowMajor(shape, strides) ? range : { ...range, strides };
}

/** Rows `from` to `to` of a tensor. */
export function rowsOf(tensor: StoredTensor, from: number, to: number): StoredTensor {
  const strides = tensor.strides ?? rowMajorStrides(tensor.shape);
  const byteOffset = tensor.byteOffset + from * (strides[0] ?? 0) * itemBytes(tensor.dtype);
  return storedView({ ...tensor, byteOffset, shape: [to - from, ...tensor.shape.slice(1)] }, strides);
}

/** The tensor with its axes in the opposite order. */
export function transposed(tensor: StoredTensor): StoredTensor {
  const strides = tensor.strides ?? rowMajorStrides(tensor.shape);
  return storedView({ ...tensor, shape: tensor.shape.toReversed() }, strides.toReversed());
}

/** Bytes of the tensor's elements; for a view not those between them. */
export function elementBytes({ dtype, shape }: Pick<StoredTensor, "dtype" | "shape">): number {
  // Asked first: dims of strangers multiply to infinity, and infinity times 0 is no number.
  return shape.includes(0) ? 0 : shape.reduce((product, dim) => product * dim, 1) * itemBytes(dtype);
}

/** Of the dtypes that have whole bytes; those with less are never sliced. */
export function itemBytes(dtype: string): number {
  return (DTYPE_BITS.get(dtype) ?? 0) / 8;
}

/**
 * Reads one tensor of any float type as float32 [product of its shape]. The result is a copy of its own.
 * Throws CheckpointError for another dtype, for numbers of F64 beyond float32, or a file that changed since its header was read.
 */
export async function readStoredFloat32(tensor: StoredTensor): Promise<Float32Array> {
  const { name, dtype, file } = tensor;
  if (!isFloatDtype(dtype)) throw notFloats({ path: file.path, name, dtype });
  const handle = await openUnchanged(file);
  try {
    const { buffer } = await readElements(handle, tensor);
    requireUnchanged(file, await handle.stat());
    if (dtype === "F32") return new Float32Array(buffer);
    const values = new Float32Array(buffer.byteLength / itemBytes(dtype));
    decodeFloats(buffer, { path: file.path, name, dtype, first: 0 }, values);
    return values;
  } finally {
    await handle.close();
  }
}

/** The bytes of one tensor in row-major order, whatever its dtype. Throws CheckpointError for a file that changed since its header was read. */
export async function readStoredBytes(tensor: StoredTensor): Promise<Uint8Array> {
  const handle = await openUnchanged(tensor.file);
  try {
    const bytes = await readElements(handle, tensor);
    requireUnchanged(tensor.file, await handle.stat());
    return bytes;
  } finally {
    await handle.close();
  }
}

/**
 * Hex sha256 over dtype, shape and bytes of each tensor (in row-major order), in one pass over the file that all of them are in, in pieces of
 * at most 64 MiB. Keys are the tensors. Throws as `readStoredFloat32`.
 */
export async function hashStored(
  file: CheckpointFile,
  tensors: readonly StoredTensor[],
): Promise<Map<StoredTensor, string>> {
  const inOrder = tensors.toSorted((a, b) => a.byteOffset - b.byteOffset);
  const largest = inOrder.reduce((most, { byteLength }) => Math.max(most, byteLength), 0);
  const piece = new Uint8Array(Math.min(READ_BYTES, largest));
  const hashes = new Map<StoredTensor, string>();
  const handle = await openUnchanged(file);
  try {
    for (const tensor of inOrder) {
      const { dtype, shape, byteOffset, byteLength, strides } = tensor;
      const hash = createHash("sha256").update(`${dtype} ${shape.join(",")}\n`);
      let crc = 0;
      if (strides !== undefined) hash.update(await readElements(handle, tensor));
      for (let done = 0; done < byteLength && strides === undefined; done += piece.length) {
        const part = piece.subarray(0, Math.min(piece.length, byteLength - done));
        await readExactly(handle, part, byteOffset + done, file.path);
        hash.update(part);
        if (tensor.crc32 !== undefined) crc = crc32(part, crc);
      }
      if (tensor.crc32 !== undefined && crc !== tensor.crc32)
        throw new CheckpointError(
          `${file.path}: tensor ${quote(tensor.name)}: expected bytes of the checksum in the file, found others: it is damaged. Get the file again.`,
        );
      hashes.set(tensor, hash.digest("hex"));
    }
    requireUnchanged(file, await handle.stat());
    return hashes;
  } finally {
    await handle.close();
  }
}

/** The bytes of the elements in row-major order, in a buffer of their own. */
async function readElements(handle: FileHandle, tensor: StoredTensor): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(tensor.byteLength);
  await readExactly(handle, bytes, tensor.byteOffset, tensor.file.path);
  if (tensor.strides === undefined) return bytes;
  return gatherView(bytes, itemBytes(tensor.dtype), tensor.shape, tensor.strides);
}

/** Opens the file again and refuses it if it is not the one whose header was validated. */
async function openUnchanged(file: CheckpointFile): Promise<FileHandle> {
  const handle = await openRegular(file.path, "a checkpoint file");
  try {
    requireUnchanged(file, await handle.stat());
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function requireUnchanged(file: CheckpointFile, { size, mtimeMs, ino }: Stats): void {
  if (size === file.sizeBytes && mtimeMs === file.modifiedMs && ino === file.inode) return;
  throw new CheckpointError(
    `${file.path}: expected the file of ${file.sizeBytes} bytes that was opened, found one that changed meanwhile (${size} bytes). Do not write to checkpoints in use; start again.`,
  );
}
