/** Eigenvalues and vectors against what defines them, for matrices that are hard for one part of the algorithm or another. */
import { describe, expect, it } from "vitest";
import { gramOf } from "../../src/merge/kernels/products.js";
import { symmetricEigen } from "../../src/merge/symmetric-eigen.js";
import { randomArray } from "../support/random.js";

const symmetric = (size: number, value: (row: number, column: number) => number) =>
  Float64Array.from({ length: size * size }, (_, index) => {
    const [row, column] = [Math.floor(index / size), index % size];
    return value(Math.max(row, column), Math.min(row, column));
  });
const random = (size: number) => {
  const values = randomArray(size * size, size);
  return symmetric(size, (row, column) => values[row * size + column] ?? 0);
};

const CASES: readonly (readonly [string, number, Float64Array])[] = [
  ["one number", 1, Float64Array.of(-3)],
  ["two rows", 2, Float64Array.of(2, 1, 1, 2)],
  ["an odd size", 13, random(13)],
  ["a size of whole panels", 16, random(16)],
  ["more sweeps than are applied at a time", 50, random(50)],
  ["zeros", 5, new Float64Array(25)],
  ["the same value everywhere", 9, symmetric(9, (row, column) => (row === column ? 4 : 0))],
  ["a diagonal", 7, symmetric(7, (row, column) => (row === column ? row - 3 : 0))],
  ["a form that is tridiagonal already", 12, symmetric(12, (row, column) => Math.max(0, 2 - 3 * (row - column)))],
  ["a wide matrix's Gram matrix, of rank 3", 20, gramOf(randomArray(60, 4), 20)],
  ["blocks that hang together by rounding", 12, symmetric(12, (r, c) => (r < 6 === c < 6 ? 1 : 1e-17))],
  ["huge numbers", 10, random(10).map((value) => value * 1e200)],
  ["tiny numbers", 10, random(10).map((value) => value * 1e-200)],
];

describe.each(CASES)("%s", (_name, size, matrix) => {
  const { values, leadingVectors } = symmetricEigen(matrix, size);
  const vectors = leadingVectors(size);
  const row = (r: number) => vectors.subarray(r * size, (r + 1) * size);
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);

  it("is A v = lambda v, descending", () => {
    const scale = Math.max(...values.map(Math.abs));
    expect([...values]).toEqual([...values].sort((a, b) => b - a));
    for (let r = 0; r < size; r++)
      for (let i = 0; i < size; i++) {
        const image = dot(matrix.subarray(i * size, (i + 1) * size), row(r));
        expect(Math.abs(image - (values[r] ?? 0) * (row(r)[i] ?? 0))).toBeLessThanOrEqual(1e-14 * scale);
      }
  });

  it("has orthonormal vectors, the leading ones the same by themselves", () => {
    for (let r = 0; r < size; r++)
      for (let other = 0; other <= r; other++) expect(dot(row(r), row(other))).toBeCloseTo(r === other ? 1 : 0, 13);
    const few = Math.ceil(size / 3);
    expect(leadingVectors(few)).toEqual(vectors.slice(0, few * size));
  });
});
