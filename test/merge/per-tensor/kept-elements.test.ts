/** Trimming to the largest elements, against sorting: made tensors with ties, zeros, outliers and in pieces of several sizes. */
import { describe, expect, it } from "vitest";
import { loadKernels } from "../../../src/merge/kernels/kernels.js";
import { trimToLargest } from "../../../src/merge/per-tensor/kept-elements.js";
import type { TensorPiece } from "../../../src/merge/per-tensor/tensor-method.js";
import { createRng } from "../../../src/runtime/rng.js";

const kernels = loadKernels(1 << 22);
const SIZE = 30_011;
const rng = createRng(11);
const made: Readonly<Record<string, (index: number) => number>> = {
  even: () => rng.nextFloat() - 0.5,
  normal: () => (rng.nextFloat() + rng.nextFloat() + rng.nextFloat() - 1.5) * 1e-3,
  "a few levels, as of differences of bfloat16": () => (rng.nextInt(9) - 4) / 1024,
  "one value": () => 0.25,
  zeros: () => 0,
  "mostly zeros": (index) => (index % 50 === 0 ? rng.nextFloat() : 0),
  "rising, so that a sample in order sees all of it": (index) => index,
  "outliers in one place": (index) => (index > 29_700 ? 1e30 : 1e-30 * rng.nextFloat()),
  "smallest numbers": () => rng.nextInt(1000) * 1e-45,
};

/** Copies of the values in the memory of the kernels. */
function* pieces(values: readonly Float32Array[], length: number): Generator<TensorPiece> {
  const size = values[0]?.length ?? 0;
  const arrays = values.map(() => kernels.memory.floats(length));
  for (let from = 0; from < size; from += length) {
    const to = Math.min(size, from + length);
    const modelsMN = arrays.map((array, model) => {
      array.fill(0).set(values[model]?.subarray(from, to) ?? []);
      return array.subarray(0, to - from);
    });
    yield { from, baseN: undefined, modelsMN };
  }
}

/** What is left of the values. */
function trimmed(values: readonly Float32Array[], length: number, countsM: readonly number[]): Float32Array[] {
  kernels.memory.release();
  const tensor = { name: "t", size: values[0]?.length ?? 0, seed: 0, kernels, stream: () => pieces(values, length) };
  const trim = trimToLargest(tensor, countsM)();
  const found = values.map((own) => new Float32Array(own.length));
  for (const piece of pieces(values, length)) {
    trim(piece);
    for (const [model, own] of piece.modelsMN.entries()) found[model]?.set(own, piece.from);
  }
  return found;
}

/** The `count` largest by magnitude, of equals the first. */
function sorted(values: Float32Array, count: number): Float32Array {
  const order = Array.from(values.keys()).sort((a, b) => Math.abs(values[b] ?? 0) - Math.abs(values[a] ?? 0) || a - b);
  const kept = new Float32Array(values.length);
  for (const index of order.slice(0, count)) kept[index] = values[index] ?? 0;
  return kept;
}

describe.each(Object.entries(made))("%s", (_name, make) => {
  const values = Float32Array.from({ length: SIZE }, (_, index) => make(index));
  it.each([0.0001, 0.2, 0.5, 0.9, 0.9999])("at density %d equals sorting", (density) => {
    const count = Math.max(1, Math.floor(density * SIZE));
    const expected = sorted(values, count);
    for (const length of [SIZE, 4096]) {
      // The second model keeps everything.
      const [found, whole] = trimmed([values, values], length, [count, SIZE]);
      expect(Buffer.from(found?.buffer ?? new ArrayBuffer()).equals(Buffer.from(expected.buffer))).toBe(true);
      expect(whole).toEqual(values);
    }
  });
});

it("keeps nothing of a model with a count of 0, and everything of tensors that are kept whole", () => {
  const values = [Float32Array.of(1, -2, 3), Float32Array.of(4, 5, -6)];
  expect(trimmed(values, 3, [0, 1])).toEqual([Float32Array.of(0, 0, 0), Float32Array.of(0, 0, -6)]);
});
