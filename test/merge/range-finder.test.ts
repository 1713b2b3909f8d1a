/** What samples find of a matrix of low rank, what they miss of others, and triples that are the same either way. */
import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { sampledRowSpace } from "../../src/merge/range-finder.js";
import { leadingTriples, polarFactor } from "../../src/merge/singular-triples.js";
import { randomArray, relativeError } from "../support/random.js";

const [ROWS, COLUMNS, MOST] = [90, 75, 12];

const isometry = (matrix: Float64Array, columns: number) => polarFactor(matrix, columns, "float32 difference").factorRC;
const decomposed = (matrix: Matrix) => new SingularValueDecomposition(matrix, { autoTranspose: true });

/** [90, 75] with these singular values. */
function withValues(values: readonly number[]): Float32Array {
  const { leftSingularVectors: u, rightSingularVectors: v } = decomposed(
    Matrix.from1DArray(ROWS, COLUMNS, randomArray(ROWS * COLUMNS, 5)),
  );
  const own = (vectors: Matrix) => vectors.subMatrix(0, vectors.rows - 1, 0, values.length - 1);
  return Float32Array.from(
    own(u)
      .mulRowVector([...values])
      .mmul(own(v).transpose())
      .to1DArray(),
  );
}

const TWELVE = Array.from({ length: MOST }, (_, k) => 0.6 ** k);

describe("samples of a matrix's rows", () => {
  it("span all rows of a matrix of so many directions, but for the rounding of its elements", () => {
    const matrix = withValues(TWELVE);
    const space = sampledRowSpace(matrix, COLUMNS, MOST, isometry);
    expect(space?.leftOut).toBeLessThan(2 ** -22);
    const basis = Matrix.from1DArray(COLUMNS, (space?.basisCP.length ?? 0) / COLUMNS, space?.basisCP ?? []);
    const images = Matrix.from1DArray(ROWS, basis.columns, space?.imagesRP ?? []);
    expect(relativeError(images.mmul(basis.transpose()).to1DArray(), matrix)).toBeLessThan(1e-6);
  });

  it("say how much they left out of one that has more", () => {
    const falling = Array.from({ length: 60 }, (_, k) => 0.95 ** k);
    const space = sampledRowSpace(withValues(falling), COLUMNS, MOST, isometry);
    // No basis of 20 directions leaves less than the 21st value, and this one not many times more.
    expect(space?.leftOut).toBeGreaterThan(0.9 * 0.95 ** 20);
    expect(space?.leftOut).toBeLessThan(5 * 0.95 ** 20);
  });

  it("are not taken where they save nothing, and find nothing in zeros", () => {
    expect(sampledRowSpace(withValues(TWELVE), COLUMNS, 30, isometry)).toBeUndefined();
    expect(sampledRowSpace(new Float32Array(ROWS * COLUMNS), COLUMNS, MOST, isometry)?.leftOut).toBe(0);
  });
});

describe("the leading triples of", () => {
  it.each([
    ["as many directions as are asked for", TWELVE],
    ["fewer", TWELVE.slice(0, 4)],
    ["more, of which the rest is small", [...TWELVE, ...Array(30).fill(2 ** -12)]],
    ["more, all alike", Array.from({ length: 60 }, (_, k) => 1 - k / 100)],
  ])("a matrix of %s are those of a whole decomposition", (_, values) => {
    const matrix = withValues(values);
    for (const [wide, columns] of [
      [matrix, COLUMNS],
      [Float32Array.from(Matrix.from1DArray(ROWS, COLUMNS, matrix).transpose().to1DArray()), ROWS],
    ] as const) {
      const rows = wide.length / columns;
      const { leftSingularVectors, diagonal, rightSingularVectors } = decomposed(
        Matrix.from1DArray(rows, columns, wide),
      );
      const count = Math.min(MOST, values.length);
      const { u, values: found, v } = leadingTriples(wide, columns, MOST);
      expect(found.filter((value) => value > 0)).toHaveLength(count);
      expect(relativeError(found.subarray(0, count), diagonal.slice(0, count))).toBeLessThan(1e-9);
      const product = Matrix.from1DArray(rows, MOST, u)
        .mulRowVector([...found])
        .mmul(Matrix.from1DArray(columns, MOST, v).transpose());
      const own = (vectors: Matrix) => vectors.subMatrix(0, vectors.rows - 1, 0, count - 1);
      const wanted = own(leftSingularVectors)
        .mulRowVector(diagonal.slice(0, count))
        .mmul(own(rightSingularVectors).transpose());
      // What the samples miss of the elements' own rounding, 2^-24 of the largest value, turns the vectors by as much.
      expect(relativeError(product.to1DArray(), wanted.to1DArray())).toBeLessThan(1e-7);
    }
  });
});
