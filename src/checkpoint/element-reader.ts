/**
 * Runs of elements of stored tensors as float32, read into buffers that are used again and again: for worker threads, which may block, and
 * for models of any size. Files stay open between reads.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { CheckpointError } from "../errors.js";
import { decodeFloats } from "./decode-floats.js";
import { itemBytes, type StoredTensor } from "./stored-tensor.js";
import { gatherView } from "./strided-view.js";

/** Where a tensor lies, as plain data that other threads take. `file` is what it was when its header was checked. */
export interface TensorLocation extends Omit<StoredTensor, "file"> {
  readonly path: string;
  readonly file: Pick<StoredTensor["file"], "sizeBytes" | "modifiedMs" | "inode">;
}

export interface ElementReader {
  /** Fills `values` with the elements from `from` on, decoded from any float type. Throws CheckpointError as `decodeFloats`, and for a file that changed. */
  readFloat32(location: TensorLocation, from: number, values: Float32Array): void;
  /** Fills `bytes` with the bytes from `from` on, of any dtype. */
  readBytes(location: TensorLocation, from: number, bytes: Uint8Array): void;
  /** Closes all files. Throws CheckpointError if one changed meanwhile. */
  close(): void;
}

/** Bytes of views (transposed, sliced) that are held in row-major order; when more are wanted, all are let go. */
const HELD_VIEW_BYTES = 256_000_000;

export function locationOf({ file, ...tensor }: StoredTensor): TensorLocation {
  const { path, sizeBytes, modifiedMs, inode } = file;
  return { ...tensor, path, file: { sizeBytes, modifiedMs, inode } };
}

export function openElementReader(): ElementReader {
  const open = new Map<string, { fd: number; file: TensorLocation["file"] }>();
  const views = new Map<string, Uint8Array>();
  let heldBytes = 0;
  let undecoded = new ArrayBuffer(0);
  const descriptor = ({ path, file }: TensorLocation): number => {
    const known = open.get(path);
    if (known !== undefined) return known.fd;
    const fd = openSync(path, "r");
    open.set(path, { fd, file });
    requireUnchanged(fd, path, file);
    return fd;
  };
  const fillFrom = (location: TensorLocation, bytes: Uint8Array, at: number): void => {
    const fd = descriptor(location);
    let done = 0;
    while (done < bytes.length) {
      const read = readSync(fd, bytes, done, bytes.length - done, location.byteOffset + at + done);
      if (read === 0) throw changed(location.path);
      done += read;
    }
  };
  const rowMajor = (location: TensorLocation, strides: readonly number[]): Uint8Array => {
    const { path, dtype, shape, byteOffset, byteLength } = location;
    const key = JSON.stringify([path, byteOffset, dtype, shape, strides]);
    const held = views.get(key);
    if (held !== undefined) return held;
    const source = new Uint8Array(byteLength);
    fillFrom(location, source, 0);
    const bytes = gatherView(source, itemBytes(dtype), shape, strides);
    if (heldBytes + bytes.length > HELD_VIEW_BYTES) {
      views.clear();
      heldBytes = 0;
    }
    views.set(key, bytes);
    heldBytes += bytes.length;
    return bytes;
  };
  const fill = (location: TensorLocation, bytes: Uint8Array, at: number): void => {
    if (location.strides === undefined) fillFrom(location, bytes, at);
    else bytes.set(rowMajor(location, location.strides).subarray(at, at + bytes.length));
  };
  return {
    readFloat32: (location, from, values) => {
      const { path, name, dtype } = location;
      const size = itemBytes(dtype);
      if (dtype === "F32") {
        fill(location, new Uint8Array(values.buffer, values.byteOffset, values.byteLength), from * size);
        return;
      }
      const byteLength = values.length * size;
      if (undecoded.byteLength < byteLength) undecoded = new ArrayBuffer(byteLength);
      fill(location, new Uint8Array(undecoded, 0, byteLength), from * size);
      decodeFloats(undecoded, { path, name, dtype, first: from }, values);
    },
    readBytes: (location, from, bytes) => fill(location, bytes, from),
    close: () => {
      const failures: unknown[] = [];
      for (const [path, { fd, file }] of open) {
        try {
          requireUnchanged(fd, path, file);
        } catch (error) {
          failures.push(error);
        }
        closeSync(fd);
      }
      open.clear();
      if (failures.length > 0) throw failures[0];
    },
  };
}

function requireUnchanged(fd: number, path: string, file: TensorLocation["file"]): void {
  const { size, mtimeMs, ino } = fstatSync(fd);
  if (size !== file.sizeBytes || mtimeMs !== file.modifiedMs || ino !== file.inode) throw changed(path);
}

function changed(path: string): CheckpointError {
  return new CheckpointError(
    `${path}: expected the file that was opened, found one that changed meanwhile. Do not write to checkpoints in use; start again.`,
  );
}
