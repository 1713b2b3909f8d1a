/** TSV-M's formula written out with whole decompositions, and what adapters of low rank make of it. */
import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { orthogonalParts, orthogonalSum } from "../../src/merge/orthogonal-task-vectors.js";
import { randomArray, relativeError } from "../support/random.js";

const svd = (matrix: Matrix) => new SingularValueDecomposition(matrix, { autoTranspose: true });

function nearest(matrix: Matrix): Matrix {
  const { leftSingularVectors: u, rightSingularVectors: v } = svd(matrix);
  return u.mmul(v.transpose());
}

/** The sum over tasks, each with its leading `kept` triples. */
function writtenOut(taus: readonly Float32Array[], rows: number, columns: number, kept: readonly number[]): Matrix {
  const all = kept.reduce((sum, count) => sum + count, 0);
  const [u, v, values] = [new Matrix(rows, all), new Matrix(columns, all), [] as number[]];
  for (const [task, tau] of taus.entries()) {
    const own = svd(Matrix.from1DArray(rows, columns, tau));
    for (let k = 0; k < (kept[task] ?? 0); k++) {
      u.setColumn(values.length, own.leftSingularVectors.getColumn(k));
      v.setColumn(values.length, own.rightSingularVectors.getColumn(k));
      values.push(own.diagonal[k] ?? 0);
    }
  }
  return nearest(u).mulRowVector(values).mmul(nearest(v).transpose());
}

/** [rows, columns] of this rank, with the rounding that a difference of float32 weights has. */
function adapter(rows: number, columns: number, rank: number, seed: number): Float32Array {
  const a = Matrix.from1DArray(rank, columns, randomArray(rank * columns, seed));
  const change = Matrix.from1DArray(rows, rank, randomArray(rows * rank, seed + 100))
    .mmul(a)
    .to1DArray();
  const base = randomArray(rows * columns, 77, -8, 8);
  return Float32Array.from(change, (value, i) => Math.fround((base[i] ?? 0) + value) - (base[i] ?? 0));
}

describe.each([
  [12, 12],
  [24, 9],
  [9, 24],
  [11, 16],
])("task vectors [%i, %i]", (rows, columns) => {
  const size = Math.min(rows, columns);
  const tauOf = (seed: number) => randomArray(rows * columns, seed);

  it.each([1, 2, 3, 5])("of %i experts add up to the formula", (count) => {
    const taus = Array.from({ length: count }, (_, task) => tauOf(task + 1));
    const wanted = writtenOut(taus, rows, columns, Array(count).fill(Math.floor(size / count))).to1DArray();
    const sum = orthogonalSum(taus, columns);
    expect(relativeError(sum, wanted)).toBeLessThan(1e-9);
    const parts = orthogonalParts(taus, columns);
    const total = sum.map((_, i) => parts.reduce((all, part) => all + (part[i] ?? 0), 0));
    expect(relativeError(total, sum)).toBeLessThan(1e-13);
  });

  it("of lower rank than they may have are merged by the directions that they have", () => {
    const taus = [adapter(rows, columns, 2, 1), adapter(rows, columns, 1, 2), adapter(rows, columns, 2, 3)];
    const wanted = writtenOut(taus, rows, columns, [2, 1, 2]).to1DArray();
    // The rounding of the weights, not of the decomposition.
    expect(relativeError(orthogonalSum(taus, columns), wanted)).toBeLessThan(2e-6);
  });

  it("may be the same expert twice, or more experts than directions", () => {
    const tau = adapter(rows, columns, 2, 1);
    // Both lie in the same directions, of which there is one set: the nearest orthonormal vectors share it.
    const twice = orthogonalSum([tau, tau], columns);
    expect(relativeError(twice, tau)).toBeLessThan(2e-6);
    const many = Array.from({ length: size + 1 }, () => tau);
    expect(orthogonalSum(many, columns)).toEqual(new Float64Array(rows * columns));
    expect(orthogonalParts(many, columns)).toEqual(many.map(() => new Float64Array(rows * columns)));
  });
});
