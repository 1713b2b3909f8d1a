/**
 * The header of a safetensors file: eight bytes of length (little-endian), that many bytes of JSON, then data.
 * Every rule of the format is checked here before a byte of data is read: an accepted file has no hole, no
 * overlap, no truncated or extra byte, and each tensor's bytes are what its shape and dtype say.
 * Source: the format section of the safetensors README and `validate` in its `tensor.rs`.
 *
 * Differs from the reference (stricter): the first byte must be `{` as the spec says, 25 MB, 100,000 tensors and
 * 64 dims at most, equal keys and unknown fields refused, names without control characters.
 */
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";
import { decodeUtf8 } from "../runtime/regular-file.js";
import { JsonCursor } from "./json-cursor.js";

/** The largest real headers are a few MB; a larger one is memory spent before anything was validated. */
export const MAX_HEADER_BYTES = 25_000_000;
/** Ten times the tensors of the largest published models; bounds the size of the maps built from a header. */
export const MAX_TENSORS = 100_000;
/** Real names are under 200 characters; longer ones only fill logs. */
export const MAX_NAME_LENGTH = 4096;
/** The most dims that PyTorch and NumPy have; a shape of millions of ones would fill memory and messages. */
const MAX_RANK = 64;
/** Bytes of the length that opens the file. */
export const LENGTH_BYTES = 8;

/** Bits of one element, for every dtype of the format, in the order the reference sorts them by. */
export const DTYPE_BITS: ReadonlyMap<string, number> = new Map([
  ["BOOL", 8],
  ["F4", 4],
  ["F6_E2M3", 6],
  ["F6_E3M2", 6],
  ["U8", 8],
  ["I8", 8],
  ["F8_E5M2", 8],
  ["F8_E4M3", 8],
  ["F8_E8M0", 8],
  ["F8_E4M3FNUZ", 8],
  ["F8_E5M2FNUZ", 8],
  ["I16", 16],
  ["U16", 16],
  ["F16", 16],
  ["BF16", 16],
  ["I32", 32],
  ["U32", 32],
  ["F32", 32],
  ["C64", 64],
  ["F64", 64],
  ["I64", 64],
  ["U64", 64],
]);

export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** From the start of the file, not of the data. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  /** In the order of their bytes in the file. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

interface RawEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * The length of the header, from the first bytes of a file. Throws CheckpointError if the file is shorter than
 * 8 bytes, or the length is larger than allowed or than the file.
 */
export function headerLength(first: Uint8Array, fileBytes: number, path: string): number {
  if (fileBytes < LENGTH_BYTES) {
    throw malformed(path, `at least ${LENGTH_BYTES} bytes (the length of the header)`, `${fileBytes} bytes`);
  }
  const view = new DataView(first.buffer, first.byteOffset, first.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw malformed(path, `a header of at most ${MAX_HEADER_BYTES} bytes`, `a declared length of ${length}`);
  }
  if (LENGTH_BYTES + Number(length) > fileBytes) {
    throw malformed(
      path,
      `a file of at least ${LENGTH_BYTES + Number(length)} bytes (8 + header)`,
      `${fileBytes} bytes`,
    );
  }
  return Number(length);
}

/**
 * Reads and validates the JSON bytes of a header. `fileBytes` is the size of the whole file.
 * Throws CheckpointError that names the file, the tensor, what was expected and what was found.
 */
export function parseHeader(bytes: Uint8Array, fileBytes: number, path: string): SafetensorsHeader {
  if (bytes[0] !== 0x7b) {
    const found = bytes.length === 0 ? "an empty header" : `byte 0x${(bytes[0] ?? 0).toString(16).padStart(2, "0")}`;
    throw malformed(path, "a header that begins with '{'", found);
  }
  const text = decodeUtf8(bytes);
  if (text === undefined) throw malformed(path, "a header in UTF-8", "bytes that are not");
  const { metadata, entries } = readEntries(text, path);
  const dataStart = LENGTH_BYTES + bytes.length;
  const sorted = entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  const tensors = new Map<string, TensorEntry>();
  for (const entry of sorted) {
    checkSize(entry, path);
    if (entry.begin !== position) {
      const problem = entry.begin > position ? "a hole before it" : "an overlap with the tensor before it";
      const expected = `tensor ${quote(entry.name)} to begin at data byte ${position}, where the tensor before it ends`;
      throw malformed(path, expected, `${entry.begin} (${problem})`);
    }
    position = entry.end;
    const { name, dtype, shape } = entry;
    tensors.set(name, { name, dtype, shape, byteOffset: dataStart + entry.begin, byteLength: entry.end - entry.begin });
  }
  const expectedBytes = dataStart + position;
  if (expectedBytes !== fileBytes) {
    const problem =
      expectedBytes > fileBytes ? "truncated, perhaps by a broken download" : "extra bytes after the data";
    throw malformed(path, `a file of ${expectedBytes} bytes, as its header says`, `${fileBytes} bytes (${problem})`);
  }
  return { metadata, tensors };
}

function readEntries(text: string, path: string): { metadata: Map<string, string>; entries: RawEntry[] } {
  const cursor = new JsonCursor(text, `${path}: safetensors header`);
  let metadata = new Map<string, string>();
  const entries: RawEntry[] = [];
  cursor.object("the header", (name) => {
    if (name === "__metadata__") {
      metadata = readMetadata(cursor);
      return;
    }
    const problem = tensorNameProblem(name);
    if (problem !== undefined) throw malformed(path, ...problem);
    entries.push(readEntry(cursor, name, path));
    if (entries.length > MAX_TENSORS) throw malformed(path, `at most ${MAX_TENSORS} tensors`, "more");
  });
  cursor.end();
  return { metadata, entries };
}

/** String to string only. `null` passes, as in the reference. */
function readMetadata(cursor: JsonCursor): Map<string, string> {
  const metadata = new Map<string, string>();
  if (cursor.acceptNull()) return metadata;
  cursor.object("__metadata__", (key) => {
    metadata.set(key, cursor.string(`__metadata__ ${quote(key)} as a string`));
  });
  return metadata;
}

function readEntry(cursor: JsonCursor, name: string, path: string): RawEntry {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  cursor.object(`the entry of tensor ${quote(name)}`, (field) => {
    if (field === "dtype") dtype = cursor.string(`dtype of ${quote(name)} as a string`);
    else if (field === "shape") shape = cursor.unsignedIntegers(`shape of ${quote(name)}`, MAX_RANK);
    else if (field === "data_offsets") offsets = cursor.unsignedIntegers(`data_offsets of ${quote(name)}`, MAX_RANK);
    else
      throw malformed(
        path,
        `only dtype, shape and data_offsets for tensor ${quote(name)}`,
        `the field ${quote(field)}`,
      );
  });
  if (dtype === undefined || shape === undefined || offsets === undefined) {
    const missing = dtype === undefined ? "dtype" : shape === undefined ? "shape" : "data_offsets";
    throw malformed(path, `dtype, shape and data_offsets for tensor ${quote(name)}`, `no ${missing}`);
  }
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined || offsets.length !== 2) {
    throw malformed(path, `two data_offsets for tensor ${quote(name)}`, `${offsets.length}`);
  }
  return { name, dtype, shape, begin, end };
}

/** What was expected of a tensor's name and what was found, if it is none. */
export function tensorNameProblem(name: string): [expected: string, found: string] | undefined {
  if (name === "") return ["tensors with names", "an empty name"];
  if (name.length > MAX_NAME_LENGTH)
    return [`tensor names of at most ${MAX_NAME_LENGTH} characters`, `${name.length}, ${quote(name)}`];
  if ([...name].some((char) => char < " ")) return ["tensor names without control characters", quote(name)];
  return undefined;
}

/** The dtype is known, the size does not overflow, and the byte range is exactly that size. */
function checkSize(entry: RawEntry, path: string): void {
  const tensor = `tensor ${quote(entry.name)}`;
  const bits = DTYPE_BITS.get(entry.dtype);
  if (bits === undefined) {
    throw malformed(
      path,
      `${tensor} to have one of the dtypes ${[...DTYPE_BITS.keys()].join(" ")}`,
      quote(entry.dtype),
    );
  }
  const shown = `shape [${entry.shape.join(", ")}] ${entry.dtype}`;
  let totalBits = bits;
  for (const dim of entry.shape) {
    totalBits *= dim;
    if (!Number.isSafeInteger(totalBits)) throw malformed(path, `${tensor} to have at most 2^53 - 1 bits`, shown);
  }
  if (totalBits % 8 !== 0) throw malformed(path, `${tensor} to fill whole bytes`, `${totalBits} bits, ${shown}`);
  if (entry.end < entry.begin) {
    throw malformed(path, `data_offsets of ${tensor} to end after they begin`, `[${entry.begin}, ${entry.end}]`);
  }
  if (entry.end - entry.begin !== totalBits / 8) {
    throw malformed(path, `${totalBits / 8} bytes for ${tensor} (${shown})`, `${entry.end - entry.begin} bytes`);
  }
}

function malformed(path: string, expected: string, found: string): CheckpointError {
  return new CheckpointError(
    `${path}: not a valid safetensors file: expected ${expected}, found ${found}. Get the file again from its source.`,
  );
}
