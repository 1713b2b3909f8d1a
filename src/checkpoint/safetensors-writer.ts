/**
 * Writing safetensors files: atomically, one tensor in memory at a time, and byte for byte as the reference
 * library does (tensors by falling dtype alignment, then by name; header padded with blanks to 8 bytes), so
 * that equal content gives equal files. Metadata keys are sorted, which the reference leaves open.
 */
import { type FileHandle, statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { CheckpointError } from "../errors.js";
import { withAtomicFile } from "../runtime/atomic-file.js";
import { makeFolder } from "../runtime/make-folder.js";
import { quote } from "../runtime/printable.js";
import { encodeBfloat16, encodeFloat16 } from "./float16.js";
import { DTYPE_BITS } from "./safetensors-header.js";

/** Keeps the data of every dtype aligned, as the reference pads. */
const HEADER_ALIGNMENT_BYTES = 8;

/** The name, dtype and shape of a tensor to be written. */
export interface WriteSpec {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** float32 values for F64 and F32, F16 and BF16 (rounded to nearest even); raw little-endian bytes for any other dtype. */
export type WriteData = Float32Array | Uint8Array;

/** A tensor's elements in pieces, in row-major order: for those that shall not be in memory as a whole. */
export type WritePieces = AsyncIterable<WriteData>;

export interface WritableTensor extends WriteSpec {
  readonly data: WriteData;
}

export interface WriteOptions {
  readonly metadata?: Readonly<Record<string, string>> | ReadonlyMap<string, string>;
  /** Takes away the permission to write to the file, against accidents; it can still be replaced or deleted. */
  readonly readOnly?: boolean;
}

/** Writes tensors that are in memory already; see `writeSafetensorsStream`. */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<WritableTensor> | AsyncIterable<WritableTensor>,
  options: WriteOptions = {},
): Promise<void> {
  const byName = new Map<string, WritableTensor>();
  const specs: WritableTensor[] = [];
  for await (const tensor of tensors) {
    specs.push(tensor);
    byName.set(tensor.name, tensor);
  }
  await writeSafetensorsStream(path, specs, (name) => byName.get(name)?.data ?? new Float32Array(), options);
}

/**
 * Writes the tensors of `specs`, asking `data` for one at a time in the order of the file. Atomic: on any error
 * `path` is as it was before. Throws CheckpointError for a reserved, empty or repeated name, values that do not
 * fill their shape, finite values too large for their dtype, or a disk without room.
 */
export async function writeSafetensorsStream(
  path: string,
  specs: readonly WriteSpec[],
  data: (name: string) => Promise<WriteData> | WriteData | WritePieces,
  options: WriteOptions = {},
): Promise<void> {
  const { header, ordered, sizeBytes } = layoutSafetensors(path, specs, options);
  await requireSpace(path, sizeBytes);
  await withAtomicFile(path, async (file) => {
    await file.writeFile(header);
    for (const spec of ordered) await writeTensor(file, spec, await data(spec.name), path);
    // Windows does not rename over files that are read-only.
    if (options.readOnly === true && process.platform !== "win32") await file.chmod((await file.stat()).mode & 0o444);
  });
}

export interface SafetensorsLayout {
  /** Everything before the first tensor. */
  readonly header: Uint8Array;
  /** The specs in the order of the file. */
  readonly ordered: readonly WriteSpec[];
  /** Where each tensor begins, from the beginning of the file. */
  readonly offsets: ReadonlyMap<string, number>;
  /** Of the whole file. */
  readonly sizeBytes: number;
}

/** Where everything is in a file of these tensors, for whoever writes it in pieces. Throws as `writeSafetensorsStream` for its specs. */
export function layoutSafetensors(
  path: string,
  specs: readonly WriteSpec[],
  options: Pick<WriteOptions, "metadata"> = {},
): SafetensorsLayout {
  const ordered = orderSpecs(specs, path);
  const header = encodeHeader(ordered, options.metadata);
  const offsets = new Map<string, number>();
  let sizeBytes = header.length;
  for (const spec of ordered) {
    offsets.set(spec.name, sizeBytes);
    sizeBytes += byteLengthOf(spec);
  }
  return { header, ordered, offsets, sizeBytes };
}

/** Bytes that a tensor takes in a file. */
export function byteLengthOf(spec: WriteSpec): number {
  return ((DTYPE_BITS.get(spec.dtype) ?? 0) * spec.shape.reduce((product, dim) => product * dim, 1)) / 8;
}

function orderSpecs(specs: readonly WriteSpec[], path: string): WriteSpec[] {
  const seen = new Set<string>();
  for (const { name, dtype, shape } of specs) {
    const problem =
      name === "" || name === "__metadata__"
        ? "a tensor name other than the empty one and __metadata__"
        : seen.has(name)
          ? "every tensor once"
          : !DTYPE_BITS.has(dtype)
            ? `a known dtype, not ${quote(dtype)},`
            : shape.some((dim) => !Number.isSafeInteger(dim) || dim < 0)
              ? `a shape of unsigned integers, not [${shape.join(", ")}],`
              : undefined;
    if (problem !== undefined) {
      throw new CheckpointError(`${path}: cannot be written: expected ${problem} for tensor ${quote(name)}.`);
    }
    seen.add(name);
  }
  // The reference's order: larger alignment first, so that no tensor needs padding; then by the bytes of the name.
  const rank = new Map([...DTYPE_BITS.keys()].map((dtype, i) => [dtype, i]));
  return specs.toSorted(
    (a, b) =>
      (rank.get(b.dtype) ?? 0) - (rank.get(a.dtype) ?? 0) || Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  );
}

function encodeHeader(ordered: readonly WriteSpec[], metadata: WriteOptions["metadata"]): Uint8Array {
  // Text is joined by hand: an object would lose a tensor called __proto__.
  const fields: string[] = [];
  if (metadata !== undefined) {
    const pairs = metadata instanceof Map ? [...metadata] : Object.entries(metadata);
    const sorted = pairs.toSorted(([a], [b]) => (a < b ? -1 : 1));
    fields.push(
      `"__metadata__":{${sorted.map((pair) => pair.map((text) => JSON.stringify(text)).join(":")).join(",")}}`,
    );
  }
  let offset = 0;
  for (const spec of ordered) {
    const end = offset + byteLengthOf(spec);
    fields.push(
      `${JSON.stringify(spec.name)}:{"dtype":"${spec.dtype}","shape":[${spec.shape.join(",")}],"data_offsets":[${offset},${end}]}`,
    );
    offset = end;
  }
  const json = Buffer.from(`{${fields.join(",")}}`);
  const padded = Math.ceil(json.length / HEADER_ALIGNMENT_BYTES) * HEADER_ALIGNMENT_BYTES;
  const header = Buffer.alloc(8 + padded, " ");
  header.writeBigUInt64LE(BigInt(padded), 0);
  json.copy(header, 8);
  return header;
}

async function writeTensor(
  file: FileHandle,
  spec: WriteSpec,
  data: WriteData | WritePieces,
  path: string,
): Promise<void> {
  let [byteLength, first] = [0, 0];
  for await (const piece of Symbol.asyncIterator in data ? data : [data]) {
    const bytes = piece instanceof Float32Array ? encodeFloats(spec, piece, first, path) : piece;
    await file.writeFile(bytes);
    byteLength += bytes.byteLength;
    first += piece.length;
  }
  if (byteLength !== byteLengthOf(spec)) {
    throw new CheckpointError(
      `${path}: cannot be written: tensor ${quote(spec.name)} of shape [${spec.shape.join(", ")}] ${spec.dtype}: expected ${byteLengthOf(spec)} bytes, found ${byteLength}.`,
    );
  }
}

/** `first` is the index of the first value in the tensor. */
function encodeFloats(spec: WriteSpec, values: Float32Array, first: number, path: string): Uint8Array {
  if (spec.dtype === "F32") return asBytes(values);
  if (spec.dtype === "F64") return asBytes(new Float64Array(values));
  if (spec.dtype !== "F16" && spec.dtype !== "BF16") {
    throw new CheckpointError(
      `${path}: cannot be written: tensor ${quote(spec.name)}: expected raw bytes for dtype ${spec.dtype}, found float32 values.`,
    );
  }
  const bits = spec.dtype === "F16" ? encodeFloat16(values) : encodeBfloat16(values);
  const infinity = spec.dtype === "F16" ? 0x7c00 : 0x7f80;
  const at = bits.findIndex((half, i) => (half & 0x7fff) === infinity && Number.isFinite(values[i]));
  if (at >= 0) {
    throw new CheckpointError(
      `${path}: cannot be written: tensor ${quote(spec.name)}: expected values within ${spec.dtype}, found ${values[at]} at index ${first + at}. Save it as F32.`,
    );
  }
  return asBytes(bits);
}

function asBytes(values: Float64Array | Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Fails before the work instead of after hours of it. A file system that does not tell its free space passes. */
export async function requireSpace(path: string, neededBytes: number): Promise<void> {
  const folder = dirname(resolve(path));
  await makeFolder(folder).catch(() => undefined);
  const found = await statfs(folder).catch(() => undefined);
  if (found === undefined || found.blocks === 0) return;
  const freeBytes = found.bavail * found.bsize;
  if (freeBytes < neededBytes) {
    throw new CheckpointError(
      `${path}: expected ${neededBytes} bytes of free space for it, found ${freeBytes}. Free space or choose another folder.`,
    );
  }
}
