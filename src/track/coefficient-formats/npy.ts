/**
 * NumPy's .npy files of one array, as far as coefficients need them: little-endian float32 or float64, of one or two dimensions. Specification: NumPy
 * enhancement proposal 1 and numpy.lib.format, versions 1 to 3.
 */
import { CheckpointError } from "../../errors.js";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** Tasks times layers of the largest models are some ten thousand numbers. */
const MAX_BYTES = 64_000_000;
/** A header is one line of some 80 characters. */
const MAX_HEADER_BYTES = 10_000;

export interface NpyArray {
  readonly shape: readonly number[];
  /** Row-major. */
  readonly values: Float64Array;
}

export function looksLikeNpy(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, index) => bytes[index] === byte);
}

/** Throws CheckpointError that names `label` for anything else than such an array. */
export function parseNpy(bytes: Uint8Array, label: string): NpyArray {
  const wrong = (found: string): CheckpointError =>
    new CheckpointError(
      `${label}: expected a .npy file of float32 or float64 numbers, [tasks, layers] or [tasks], found ${found}`,
    );
  if (!looksLikeNpy(bytes)) throw wrong("another kind of file");
  if (bytes.length > MAX_BYTES) throw wrong(`${bytes.length} bytes, more than ${MAX_BYTES}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isLong = (bytes[6] ?? 0) > 1;
  if (bytes.length < 12) throw wrong("a file that is cut");
  const headerBytes = isLong ? view.getUint32(8, true) : view.getUint16(8, true);
  const begin = isLong ? 12 : 10;
  if (headerBytes > MAX_HEADER_BYTES || begin + headerBytes > bytes.length)
    throw wrong("a header that is cut or too long");
  const header = new TextDecoder("latin1").decode(bytes.subarray(begin, begin + headerBytes));
  const type = /'descr': *'([^']*)'/.exec(header)?.[1];
  const size = type === "<f4" ? 4 : type === "<f8" ? 8 : undefined;
  if (size === undefined) throw wrong(`numbers of type ${type ?? "unknown"}`);
  const dimensions = /'shape': *\(([\d, ]*)\)/.exec(header)?.[1];
  const shape = (dimensions ?? "").split(",").flatMap((text) => (text.trim() === "" ? [] : [Number(text)]));
  if (dimensions === undefined || shape.length < 1 || shape.length > 2) throw wrong(`the shape (${dimensions ?? ""})`);
  if (/'fortran_order': *True/.test(header) && shape.length > 1) throw wrong("columns before rows (Fortran order)");
  const count = shape.reduce((product, dim) => product * dim, 1);
  const data = begin + headerBytes;
  if (bytes.length - data !== count * size) throw wrong(`${bytes.length - data} bytes for ${count} numbers`);
  const values = Float64Array.from({ length: count }, (_, index) =>
    size === 4 ? view.getFloat32(data + 4 * index, true) : view.getFloat64(data + 8 * index, true),
  );
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw wrong(`${values[bad]} at index ${bad}`);
  return { shape, values };
}

/** The file's bytes, version 1.0, float32. */
export function npyBytes({ shape, values }: NpyArray): Uint8Array {
  const dimensions = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${dimensions}), }`;
  // The data begin at a multiple of 64 bytes, after a line end.
  const headerBytes = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const bytes = new Uint8Array(10 + headerBytes + 4 * values.length);
  bytes.set([...MAGIC, 1, 0, headerBytes & 255, headerBytes >> 8]);
  bytes.set(new TextEncoder().encode(`${text.padEnd(headerBytes - 1)}\n`), 10);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries()) view.setFloat32(10 + headerBytes + 4 * index, value, true);
  return bytes;
}
