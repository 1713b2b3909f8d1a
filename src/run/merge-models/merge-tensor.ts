/**
 * Merges one tensor from files into its place in another, in pieces of bounded size: read, decode, merge, check, encode, write. Blocks the
 * thread it runs on. M models, N elements of a piece.
 */
import { writeSync } from "node:fs";
import type { ElementReader, TensorLocation } from "../../checkpoint/element-reader.js";
import { encodeBfloat16, encodeBfloat16Into, encodeFloat16, encodeFloat16Into } from "../../checkpoint/float16.js";
import { elementBytes, itemBytes } from "../../checkpoint/stored-tensor.js";
import { CheckpointError, NumericError } from "../../errors.js";
import type { MergeTensorPiece, TensorPiece } from "../../merge/per-tensor/tensor-method.js";
import type { TensorJob } from "./jobs.js";

/**
 * 256 KB of float32: a few of these stay in a core's cache between reading and writing, and calls into the system and the kernels are few. A
 * multiple of the kernels' vectors.
 */
export const PIECE_ELEMENTS = 1 << 16;
const COPY_BYTES = 1 << 22;

export interface TensorInput {
  readonly size: number;
  readonly base: TensorLocation | undefined;
  readonly models: readonly TensorLocation[];
}

/** Fills the arrays of a piece; as task vectors the base is taken away from the models. */
export function readPiece(
  reader: ElementReader,
  { base, models }: TensorInput,
  { from, baseN, modelsMN }: TensorPiece,
  asTaskVectors: boolean,
): void {
  if (base !== undefined && baseN !== undefined) reader.readFloat32(base, from, baseN);
  for (const [model, values] of modelsMN.entries()) {
    const location = models[model];
    if (location === undefined) continue;
    reader.readFloat32(location, from, values);
    if (!asTaskVectors || baseN === undefined) continue;
    for (let i = 0; i < values.length; i++) values[i] = (values[i] ?? 0) - (baseN[i] ?? 0);
  }
}

/** The bytes of merged values, valid until the next call, and whether all values, and what they were rounded to, are finite. */
export type Encode = (values: Float32Array) => { readonly bytes: Uint8Array; readonly allFinite: boolean };

/** Where merged pieces go. */
export interface Output {
  readonly fd: number;
  readonly encode: Encode;
  /** Told the bytes of each piece that was written. */
  readonly written: (bytes: number) => void;
}

/** Merges all pieces with `merge` and writes them. Throws NumericError or CheckpointError naming tensor and index. */
export function writeMerged(
  job: TensorJob,
  reader: ElementReader,
  pieces: Iterable<TensorPiece>,
  merge: MergeTensorPiece,
  output: Output,
): void {
  for (const piece of pieces) writeValues(job, reader, piece.from, merge(piece), output);
}

/** Encodes and writes merged values from element `from` on. */
export function writeValues(
  job: TensorJob,
  reader: ElementReader,
  from: number,
  values: Float32Array,
  { fd, encode, written }: Output,
): void {
  const { bytes, allFinite } = encode(values);
  if (!allFinite) throw notFinite(job, reader, from, values);
  const at = job.output.byteOffset + from * itemBytes(job.output.dtype);
  writeAll(fd, bytes, at);
  written(bytes.byteLength);
}

/** Copies a tensor byte for byte. */
export function copyTensor(
  job: TensorJob,
  from: TensorLocation,
  reader: ElementReader,
  { fd, written }: Omit<Output, "encode">,
): void {
  const size = elementBytes(from);
  const buffer = new Uint8Array(Math.min(COPY_BYTES, size));
  for (let done = 0; done < size; done += buffer.length) {
    const bytes = buffer.subarray(0, Math.min(buffer.length, size - done));
    reader.readBytes(from, done, bytes);
    writeAll(fd, bytes, job.output.byteOffset + done);
    written(bytes.byteLength);
  }
}

function writeAll(fd: number, bytes: Uint8Array, at: number): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
}

/** For values anywhere in memory; kernel-pieces.ts has what is faster for those in the memory of kernels. */
export function plainEncode(dtype: string): Encode {
  if (dtype === "F32")
    return (values) => ({
      bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
      allFinite: areFinite(values),
    });
  if (dtype === "F64")
    return (values) => ({ bytes: new Uint8Array(new Float64Array(values).buffer), allFinite: areFinite(values) });
  let halves = new Uint16Array(0);
  return (values) => {
    if (halves.length < values.length) halves = new Uint16Array(values.length);
    const bits = halves.subarray(0, values.length);
    const allFinite = dtype === "F16" ? encodeFloat16Into(values, bits) : encodeBfloat16Into(values, bits);
    return { bytes: new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength), allFinite };
  };
}

function areFinite(values: Float32Array): boolean {
  let sum = 0;
  // Finite numbers give 0; NaN and infinities give NaN.
  for (let i = 0; i < values.length; i++) sum += (values[i] ?? 0) * 0;
  return sum === 0;
}

/** Says which value is not finite, or not within the type of the result, and where it comes from. */
function notFinite(job: TensorJob, reader: ElementReader, from: number, values: Float32Array): Error {
  const index = values.findIndex((value) => !Number.isFinite(value));
  if (index < 0) return tooLarge(job, from, values);
  const one = new Float32Array(1);
  const named = [
    ...(job.base === undefined ? [] : [{ name: "the base", location: job.base }]),
    ...job.models.map((location, model) => ({ name: `model ${job.modelNames[model]}`, location })),
  ];
  for (const { name, location } of named) {
    reader.readFloat32(location, from + index, one);
    if (!Number.isFinite(one[0]))
      return new CheckpointError(
        `${location.path}: tensor ${job.name}: expected finite numbers in ${name}, found ${one[0]} at index ${from + index}. Leave this model out, or get its file again`,
      );
  }
  return new NumericError(
    `tensor ${job.name}: the merged value at index ${from + index} is ${values[index]}; use smaller weights`,
  );
}

function tooLarge({ name, output }: TensorJob, from: number, values: Float32Array): NumericError {
  const { dtype } = output;
  const index = values.findIndex((value) => {
    const bits = dtype === "F16" ? encodeFloat16(Float32Array.of(value)) : encodeBfloat16(Float32Array.of(value));
    const infinity = dtype === "F16" ? 0x7c00 : 0x7f80;
    return ((bits[0] ?? 0) & infinity) === infinity;
  });
  return new NumericError(
    `tensor ${name}: expected merged values within ${dtype}, found ${values[index]} at index ${from + index}. Set out_dtype to ${dtype === "F16" ? "bfloat16 or " : ""}float32`,
  );
}
