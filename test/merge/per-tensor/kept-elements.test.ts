/** Trimming to the largest elements, against sorting: made tensors with ties, zeros, outliers and in pieces of several sizes. */
import { describe, expect, it } from "vitest";
import { trimToLargest } from "../../../src/merge/per-tensor/kept-elements.js";
import type { TensorPiece } from "../../../src/merge/per-tensor/tensor-method.js";
import { createRng } from "../../../src/runtime/rng.js";

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

function* pieces(values: readonly Float32Array[], length: number): Generator<TensorPiece> {
  const size = values[0]?.length ?? 0;
  for (let from = 0; from < size; from += length)
    yield { from, baseN: undefined, modelsMN: values.map((own) => own.subarray(from, Math.min(size, from + length))) };
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
      const own = [values.slice(), values.slice()];
      const tensor = { name: "t", size: SIZE, seed: 0, stream: () => pieces(own, length) };
      // The second model keeps everything.
      const makers = trimToLargest(tensor, [count, SIZE]);
      const trim = makers();
      for (const piece of pieces(own, length)) trim(piece);
      expect(Buffer.from(own[0]?.buffer ?? new ArrayBuffer()).equals(Buffer.from(expected.buffer))).toBe(true);
      expect(own[1]).toEqual(values);
    }
  });
});

it("keeps nothing of a model with a count of 0, and everything of tensors that are kept whole", () => {
  const values = [Float32Array.of(1, -2, 3), Float32Array.of(4, 5, -6)];
  const tensor = { name: "t", size: 3, seed: 0, stream: () => pieces(values, 3) };
  const trim = trimToLargest(tensor, [0, 1])();
  for (const piece of pieces(values, 3)) trim(piece);
  expect(values).toEqual([Float32Array.of(0, 0, 0), Float32Array.of(0, 0, -6)]);
});
