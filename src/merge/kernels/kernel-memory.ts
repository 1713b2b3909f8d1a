/**
 * The memory that kernels work on, and arrays in it. Kernels take whole vectors of four elements: behind the last element of an array are zeros
 * as far as they look, and whoever shortens an array keeps it so with `clearBehind`.
 */
import { assert } from "../../errors.js";

/** A cache line. */
const ALIGNMENT_BYTES = 64;
const PAGE_BYTES = 1 << 16;
/** Elements of a vector. */
const LANES = 4;

export type KernelArray = Float32Array | Uint16Array | Uint32Array | Float64Array;

export interface KernelMemory {
  readonly memory: WebAssembly.Memory;
  /** Arrays of zeros, valid until `release`. */
  floats(length: number): Float32Array;
  halves(length: number): Uint16Array;
  words(length: number): Uint32Array;
  doubles(length: number): Float64Array;
  /** Gives the memory of all arrays back. */
  release(): void;
  /** Where a kernel finds the array. */
  addressOf(values: KernelArray): number;
}

/** `bytes` is what all arrays take together between two calls of `release`. */
export function createKernelMemory(bytes: number): KernelMemory {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE_BYTES) });
  const { buffer } = memory;
  let [used, touched] = [0, 0];
  const allocate = (byteLength: number): number => {
    const from = used;
    used += bytesInMemory(byteLength);
    assert(used <= buffer.byteLength, `the kernels' memory of ${bytes} bytes is too small`);
    // New memory is zeros already.
    if (from < touched) new Uint8Array(buffer, from, Math.min(used, touched) - from).fill(0);
    touched = Math.max(touched, used);
    return from;
  };
  return {
    memory,
    floats: (length) => new Float32Array(buffer, allocate(4 * length), length),
    halves: (length) => new Uint16Array(buffer, allocate(2 * length), length),
    words: (length) => new Uint32Array(buffer, allocate(4 * length), length),
    doubles: (length) => new Float64Array(buffer, allocate(8 * length), length),
    release: () => {
      used = 0;
    },
    addressOf: (values) => {
      assert(values.buffer === buffer, "a kernel was given an array of another memory");
      return values.byteOffset;
    },
  };
}

/** What an array of as many bytes takes: with a cache line behind it, where its last vector ends. */
export function bytesInMemory(byteLength: number): number {
  return Math.ceil(byteLength / ALIGNMENT_BYTES + 1) * ALIGNMENT_BYTES;
}

/** Makes zeros of what kernels see behind the first `length` elements. */
export function clearBehind(values: KernelArray, length: number): void {
  values.fill(0, length, Math.ceil(length / LANES) * LANES);
}
