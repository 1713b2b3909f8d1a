/** Leading triples and polar factors against ml-matrix's own decomposition, and what is made of directions that lack. */
import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { leadingTriples, polarFactor } from "../../src/merge/singular-triples.js";
import { randomArray, relativeError } from "../support/random.js";

const SHAPES = [
  [1, 1],
  [1, 6],
  [7, 1],
  [5, 7],
  [12, 12],
  [40, 13],
  [13, 40],
] as const;

/** Values falling from 1 by `fall` each, as float32. */
function falling(rows: number, columns: number, fall: number, rank = Math.min(rows, columns)): Float32Array {
  const { leftSingularVectors: u, rightSingularVectors: v } = decomposed(randomArray(rows * columns, 3), rows, columns);
  const own = (vectors: Matrix) => vectors.subMatrix(0, vectors.rows - 1, 0, rank - 1);
  const scales = Array.from({ length: rank }, (_, k) => fall ** k);
  return Float32Array.from(own(u).mulRowVector(scales).mmul(own(v).transpose()).to1DArray());
}

function decomposed(matrix: ArrayLike<number>, rows: number, columns: number): SingularValueDecomposition {
  return new SingularValueDecomposition(Matrix.from1DArray(rows, columns, Array.from(matrix)), { autoTranspose: true });
}

/** u diag(values) v^T */
function productOf({ u, values, v }: ReturnType<typeof leadingTriples>): number[] {
  const count = values.length;
  const left = Matrix.from1DArray(u.length / count, count, u).mulRowVector([...values]);
  return left.mmul(Matrix.from1DArray(v.length / count, count, v).transpose()).to1DArray();
}

const gramError = (matrix: Float64Array, columns: number, wanted: (column: number) => number): number => {
  const own = Matrix.from1DArray(matrix.length / columns, columns, matrix);
  const gram = own.transpose().mmul(own);
  return gram.sub(Matrix.diag(Array.from({ length: columns }, (_, column) => wanted(column)))).norm("max");
};

describe.each(SHAPES)("a matrix [%i, %i]", (rows, columns) => {
  const size = Math.min(rows, columns);
  const matrix = falling(rows, columns, 0.7);

  it("has the leading triples of the library's decomposition", () => {
    const { leftSingularVectors: u, diagonal, rightSingularVectors: v } = decomposed(matrix, rows, columns);
    for (const count of new Set([1, Math.ceil(size / 3), size])) {
      const triples = leadingTriples(matrix, columns, count);
      expect(relativeError(triples.values, diagonal.slice(0, count))).toBeLessThan(1e-13);
      const leading = u.subMatrix(0, rows - 1, 0, count - 1).mulRowVector(diagonal.slice(0, count));
      const wanted = leading.mmul(v.subMatrix(0, columns - 1, 0, count - 1).transpose()).to1DArray();
      expect(relativeError(productOf(triples), wanted)).toBeLessThan(1e-11);
      expect(gramError(triples.u, count, () => 1)).toBeLessThan(1e-10);
      expect(gramError(triples.v, count, () => 1)).toBeLessThan(1e-10);
    }
  });

  it.each(["exact", "float32 difference"] as const)("has the library's nearest orthonormal matrix, %s", (precision) => {
    const { leftSingularVectors: u, diagonal, rightSingularVectors: v } = decomposed(matrix, rows, columns);
    const { factorRC, sum } = polarFactor(Float64Array.from(matrix), columns, precision);
    expect(relativeError(factorRC, u.mmul(v.transpose()).to1DArray())).toBeLessThan(1e-10);
    expect(sum).toBeCloseTo(
      diagonal.reduce((total, value) => total + value, 0),
      12,
    );
  });

  it("of low rank has zeros beyond it, not the rounding of float32", () => {
    const rank = Math.ceil(size / 3);
    const low = falling(rows, columns, 0.5, rank);
    const triples = leadingTriples(low, columns, size);
    expect(triples.values.filter((value) => value > 0).length).toBe(rank);
    expect(gramError(triples.u, size, (column) => (column < rank ? 1 : 0))).toBeLessThan(1e-9);
    expect(gramError(triples.v, size, (column) => (column < rank ? 1 : 0))).toBeLessThan(1e-9);
    expect(relativeError(productOf(triples), low)).toBeLessThan(1e-6);
    // A partial isometry: it has length 1 in as many directions as the matrix.
    const { factorRC } = polarFactor(Float64Array.from(low), columns, "float32 difference");
    expect(factorRC.reduce((total, value) => total + value * value, 0)).toBeCloseTo(rank, 9);
  });
});

it("equal singular values: any vectors, but the same matrix", () => {
  const eye = Float32Array.from({ length: 48 }, (_, index) => (index < 36 && index % 7 === 0 ? 3 : 0));
  const triples = leadingTriples(eye, 6, 6);
  expect([...triples.values]).toEqual(Array(6).fill(3));
  expect(relativeError(productOf(triples), eye)).toBeLessThan(1e-14);
});

it("columns that nearly depend on one another are told apart by `exact`", () => {
  const columns = 12;
  // The last column is the first but for a millionth.
  const near = Float64Array.from(falling(30, columns, 0.9));
  for (let row = 0; row < 30; row++)
    near[row * columns + 11] = (near[row * columns] ?? 0) + 1e-6 * (near[row * columns + 11] ?? 0);
  const { factorRC } = polarFactor(near, columns, "exact");
  expect(gramError(factorRC, columns, () => 1)).toBeLessThan(1e-5);
  const { leftSingularVectors: u, rightSingularVectors: v } = decomposed(near, 30, columns);
  expect(relativeError(factorRC, u.mmul(v.transpose()).to1DArray())).toBeLessThan(1e-6);
});

it("zeros have no direction", () => {
  const { u, values, v } = leadingTriples(new Float32Array(12), 4, 2);
  expect([u, values, v].map((array) => array.some((value) => value !== 0))).toEqual([false, false, false]);
  expect(polarFactor(new Float64Array(12), 4, "exact")).toEqual({ factorRC: new Float64Array(12), sum: 0 });
});
