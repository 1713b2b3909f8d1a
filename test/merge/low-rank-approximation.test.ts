/** Truncated factors of matrices: exact where the rank is known, and as far off as the singular values of another decomposition say. */
import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { factorsError, singularParts } from "../../src/merge/low-rank-approximation.js";
import { randomArray } from "../support/random.js";

/** [rows, columns] of this rank, its singular values falling by `fall` each. */
function ofRank(rank: number, rows: number, columns: number, fall = 1): Float32Array {
  const left = Matrix.from1DArray(rows, rank, randomArray(rows * rank, 1));
  const right = Matrix.from1DArray(rank, columns, randomArray(rank * columns, 2));
  const scales = Array.from({ length: rank }, (_, r) => fall ** r);
  return Float32Array.from(left.mulRowVector(scales).mmul(right).to1DArray());
}

const relative = (matrixOI: Float32Array, columns: number, rank: number): number => {
  const { difference, norm } = factorsError(matrixOI, columns, singularParts(matrixOI, columns).factors(rank));
  return difference / norm;
};

describe.each([
  [12, 40],
  [40, 12],
  [24, 24],
])("a matrix [%i, %i]", (rows, columns) => {
  it("of rank 5 is exact with 5 and more, and not with 4", () => {
    const matrix = ofRank(5, rows, columns, 0.1);
    for (const rank of [5, 9]) expect(relative(matrix, columns, rank)).toBeLessThan(2e-7);
    expect(relative(matrix, columns, 4)).toBeGreaterThan(1e-6);
    const { values, factors } = singularParts(matrix, columns);
    expect(values.length).toBe(Math.min(rows, columns));
    // What is beyond the rank is rounding to float32.
    expect((values[5] ?? 1) / (values[0] ?? 0)).toBeLessThan(1e-6);
    const { a, b } = factors(9);
    expect([b.length, a.length]).toEqual([rows * 9, 9 * columns]);
  });

  it("is missed by the rest of its singular values (Eckart and Young)", () => {
    const matrix = ofRank(Math.min(rows, columns), rows, columns, 0.9);
    const { diagonal } = new SingularValueDecomposition(Matrix.from1DArray(rows, columns, matrix), {
      autoTranspose: true,
    });
    const norm = Math.hypot(...diagonal);
    const parts = singularParts(matrix, columns);
    for (const [i, value] of diagonal.entries())
      expect(Math.abs((parts.values[i] ?? 0) - value)).toBeLessThan(1e-7 * norm);
    for (const rank of [1, 3, 8, 11]) {
      const tail = Math.hypot(...diagonal.slice(rank)) / norm;
      expect(relative(matrix, columns, rank)).toBeCloseTo(tail, 6);
      expect(parts.truncationError(rank)).toBeCloseTo(tail, 10);
    }
    expect(parts.truncationError(Math.min(rows, columns))).toBe(0);
  });

  it("has both factors of the same length in each direction", () => {
    const rank = 4;
    const { a, b } = singularParts(ofRank(8, rows, columns), columns).factors(rank);
    for (let r = 0; r < rank; r++) {
      const row = a.subarray(r * columns, (r + 1) * columns);
      const column = b.filter((_, index) => index % rank === r);
      expect(Math.hypot(...column) / Math.hypot(...row)).toBeCloseTo(1, 5);
    }
  });
});

it("equal singular values are one space, of which all is kept", () => {
  const identity = Float32Array.from({ length: 36 }, (_, index) => (index % 7 === 0 ? 3 : 0));
  expect(relative(identity, 6, 6)).toBeLessThan(1e-7);
  expect(relative(identity, 6, 2)).toBeCloseTo(Math.sqrt(4 / 6), 7);
});

it("a matrix of zeros, and one of a single row", () => {
  const { factors, truncationError } = singularParts(new Float32Array(12), 4);
  expect(factors(2)).toEqual({ a: new Float32Array(8), b: new Float32Array(6) });
  expect(truncationError(1)).toBe(0);
  expect(relative(Float32Array.of(3, -4, 0), 3, 1)).toBeLessThan(1e-7);
});

it("the same matrix gives the same bytes", () => {
  const matrix = ofRank(10, 20, 16);
  expect(singularParts(matrix, 16).factors(4)).toEqual(singularParts(matrix.slice(), 16).factors(4));
});
