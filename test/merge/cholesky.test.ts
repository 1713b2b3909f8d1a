import { CholeskyDecomposition, Matrix } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { choleskyFactor, solveInPlace } from "../../src/merge/cholesky.js";
import { randomArray } from "../support/random.js";

/** X^T X + identity, [N, N]. */
function positiveDefinite(size: number): Matrix {
  const x = Matrix.from1DArray(size, size, [...randomArray(size * size, 11)]);
  return x.transpose().mmul(x).add(Matrix.eye(size));
}

describe("Cholesky", () => {
  it.each([
    [1, 1],
    [5, 3],
    [17, 4],
    [40, 9],
  ])("%i unknowns, %i right sides: factor and solution are ml-matrix's", (size, rows) => {
    const left = positiveDefinite(size);
    const expected = new CholeskyDecomposition(left);
    const factor = choleskyFactor(Float64Array.from(left.to1DArray())) ?? new Float64Array();
    const lower = expected.lowerTriangularMatrix.to1DArray();
    expect(factor.length).toBe(lower.length);
    for (const [index, value] of lower.entries()) expect(factor[index]).toBeCloseTo(value, 10);
    const right = Matrix.from1DArray(rows, size, [...randomArray(rows * size, 5)]);
    const solved = Float64Array.from(right.to1DArray());
    solveInPlace(factor, solved);
    for (const [index, value] of expected.solve(right.transpose()).transpose().to1DArray().entries())
      expect(solved[index]).toBeCloseTo(value, 10);
  });

  it("has no factor for what is not positive definite", () => {
    expect(choleskyFactor(Float64Array.of(1, 2, 2, 1))).toBeUndefined();
    expect(choleskyFactor(Float64Array.of(0))).toBeUndefined();
    expect(choleskyFactor(Float64Array.of(Number.NaN))).toBeUndefined();
  });
});
