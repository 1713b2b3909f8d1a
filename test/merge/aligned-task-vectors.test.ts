/** Task vectors in one basis, of adapters and of whole matrices, against another decomposition (ml-matrix). */
import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { alignedTaskVectors } from "../../src/merge/aligned-task-vectors.js";
import { randomArray, relativeError } from "../support/random.js";

const random = (rows: number, columns: number, seed: number): Matrix =>
  Matrix.from1DArray(rows, columns, [...randomArray(rows * columns, seed)]);
const floats = (matrix: Matrix): Float32Array => Float32Array.from(matrix.to1DArray());

const lowRank = (rows: number, columns: number, ranks: readonly number[]): Float32Array[] =>
  ranks.map((rank, at) => floats(random(rows, rank, 10 + at).mmul(random(rank, columns, 20 + at))));
const whole = (rows: number, columns: number): Float32Array[] =>
  [1, 2, 3].map((seed) => floats(random(rows, columns, seed)));

describe.each([
  ["adapters", lowRank(40, 36, [3, 2, 4]), 40, 36, 9],
  ["adapters of more inputs", lowRank(24, 60, [2, 2, 2]), 24, 60, 6],
  ["adapters of more outputs", lowRank(64, 20, [1, 4, 2]), 64, 20, 7],
  ["whole matrices", whole(14, 9), 14, 9, 14],
  ["whole wide matrices", whole(6, 30), 6, 30, 6],
  ["whole matrices with more rows than all columns", whole(40, 5), 40, 5, 15],
])("%s", (_, taskVectors, rows, columns, directions) => {
  const { alignedKDC, restore } = alignedTaskVectors(taskVectors, [rows, columns]);

  it("are S V_k^T of all side by side, but for signs", () => {
    const joined = new Matrix(rows, 0);
    for (let k = 0; k < taskVectors.length; k++) {
      const own = Matrix.from1DArray(rows, columns, [...(taskVectors[k] ?? [])]);
      for (let column = 0; column < columns; column++) joined.addColumn(joined.columns, own.getColumn(column));
    }
    const { diagonal, rightSingularVectors } = new SingularValueDecomposition(joined, { autoTranspose: true });
    for (const [task, aligned] of alignedKDC.entries()) {
      expect(aligned.length).toBe(directions * columns);
      const wanted = Array.from({ length: directions * columns }, (_, index) => {
        const [d, c] = [Math.floor(index / columns), index % columns];
        return Math.abs((diagonal[d] ?? 0) * rightSingularVectors.get(task * columns + c, d));
      });
      expect(relativeError(aligned.map(Math.abs), wanted)).toBeLessThan(1e-5);
    }
  });

  it("give back the task vectors", () => {
    for (const [task, aligned] of alignedKDC.entries())
      expect(relativeError(restore(Float64Array.from(aligned)), taskVectors[task] ?? [])).toBeLessThan(1e-6);
  });
});

it("what is no matrix stays as it is, and nothing has no directions", () => {
  const bias = [randomArray(8, 1), randomArray(8, 2)];
  const { alignedKDC, restore } = alignedTaskVectors(bias, [8]);
  expect(alignedKDC).toEqual(bias);
  expect(alignedKDC[0]).not.toBe(bias[0]);
  expect(restore(Float64Array.of(1, 2))).toEqual(Float64Array.of(1, 2));
  const nothing = alignedTaskVectors([new Float32Array(12), new Float32Array(12)], [3, 4]);
  expect(nothing.alignedKDC.map(({ length }) => length)).toEqual([0, 0]);
  expect(nothing.restore(new Float64Array())).toEqual(new Float64Array(12));
});
