/**
 * Merges one tensor from files into its place in another, in pieces of bounded size: read, decode, merge, check, encode, write. Blocks the
 * thread it runs on. M models, N elements of a piece.
 */
import { writeSync } from "node:fs";
import type { ElementReader, TensorLocation } from "../../checkpoint/element-reader.js";
import { encodeBfloat16, encodeFloat16 } from "../../checkpoint/float16.js";
import { CheckpointError, NumericError } from "../../errors.js";
import type { MergeTensorPiece, TensorPiece } from "../../merge/per-tensor/tensor-method.js";
import type { TensorJob } from "./jobs.js";

/** 256 KB of float32: a few of these stay in a core's cache between reading and writing. */
export const PIECE_ELEMENTS = 1 << 16;
const COPY_BYTES = 1 << 22;

export interface TensorInput {
  readonly size: number;
  readonly base: TensorLocation | undefined;
  readonly models: readonly TensorLocation[];
}

/** The tensor's pieces in order. The arrays are used again for the next piece. */
export function* tensorPieces(
  reader: ElementReader,
  { size, base, models }: TensorInput,
  asTaskVectors: boolean,
): Generator<TensorPiece> {
  const most = Math.min(size, PIECE_ELEMENTS);
  const baseN = new Float32Array(most);
  const modelsMN = models.map(() => new Float32Array(most));
  for (let from = 0; from < size; from += most) {
    const length = Math.min(most, size - from);
    const piece = {
      from,
      baseN: base === undefined ? undefined : baseN.subarray(0, length),
      modelsMN: modelsMN.map((values) => values.subarray(0, length)),
    };
    readPiece(reader, { size, base, models }, piece, asTaskVectors);
    yield piece;
  }
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

/** Where merged pieces go. */
export interface Output {
  readonly fd: number;
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
  { fd, written }: Output,
): void {
  requireFinite(job, reader, from, values);
  const bytes = encoded(job, from, values);
  const at = job.output.byteOffset + (from / job.size) * outputBytes(job);
  writeAll(fd, bytes, at);
  written(bytes.byteLength);
}

function outputBytes({ size, output }: TensorJob): number {
  return size * (output.dtype === "F32" ? 4 : 2);
}

/** Copies a tensor byte for byte. */
export function copyTensor(job: TensorJob, from: TensorLocation, reader: ElementReader, { fd, written }: Output): void {
  const buffer = new Uint8Array(Math.min(COPY_BYTES, from.byteLength));
  for (let done = 0; done < from.byteLength; done += buffer.length) {
    const bytes = buffer.subarray(0, Math.min(buffer.length, from.byteLength - done));
    reader.readBytes(from, done, bytes);
    writeAll(fd, bytes, job.output.byteOffset + done);
    written(bytes.byteLength);
  }
}

function writeAll(fd: number, bytes: Uint8Array, at: number): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
}

function encoded({ name, output }: TensorJob, from: number, values: Float32Array): Uint8Array {
  if (output.dtype === "F32") return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const bits = output.dtype === "F16" ? encodeFloat16(values) : encodeBfloat16(values);
  const infinity = output.dtype === "F16" ? 0x7c00 : 0x7f80;
  for (let i = 0; i < bits.length; i++) {
    if (((bits[i] ?? 0) & 0x7fff) !== infinity) continue;
    throw new NumericError(
      `tensor ${name}: expected merged values within ${output.dtype}, found ${values[i]} at index ${from + i}. Set out_dtype to ${output.dtype === "F16" ? "bfloat16 or " : ""}float32`,
    );
  }
  return new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
}

function requireFinite(job: TensorJob, reader: ElementReader, from: number, values: Float32Array): void {
  let sum = 0;
  // Finite numbers give 0; NaN and infinities give NaN.
  for (let i = 0; i < values.length; i++) sum += (values[i] ?? 0) * 0;
  if (sum === 0) return;
  const index = values.findIndex((value) => !Number.isFinite(value));
  const one = new Float32Array(1);
  const named = [
    ...(job.base === undefined ? [] : [{ name: "the base", location: job.base }]),
    ...job.models.map((location, model) => ({ name: `model ${job.modelNames[model]}`, location })),
  ];
  for (const { name, location } of named) {
    reader.readFloat32(location, from + index, one);
    if (!Number.isFinite(one[0]))
      throw new CheckpointError(
        `${location.path}: tensor ${job.name}: expected finite numbers in ${name}, found ${one[0]} at index ${from + index}. Leave this model out, or get its file again`,
      );
  }
  throw new NumericError(
    `tensor ${job.name}: the merged value at index ${from + index} is ${values[index]}; use smaller weights`,
  );
}
