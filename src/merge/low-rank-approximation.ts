/**
 * The best approximation of a matrix by one of a given rank, as two factors, B A: its leading singular triples (Eckart
 * and Young 1936), each singular value in equal parts on both sides. From the eigenvectors of the smaller Gram matrix,
 * in float64: singular values below 1e-8 of the largest are lost in its rounding. O rows, I columns, R rank, S = min(O,
 * I).
 */
import { productsWith, transposed } from "./kernels/products.js";
import { gramDirections, imagesOf } from "./singular-triples.js";

export interface LowRankFactors {
  /** [O, R] */
  readonly b: Float32Array;
  /** [R, I] */
  readonly a: Float32Array;
}

export interface SingularParts {
  /** [S], descending. */
  readonly values: Float64Array;
  /** The best B A of this rank, which is 1 to S. Directions in which the matrix has nothing are zeros in both. */
  factors(rank: number): LowRankFactors;
  /**
   * Of the best approximation of this rank: norm of the difference over that of the matrix; 0 for a matrix of zeros.
   */
  truncationError(rank: number): number;
}

/** `matrixOI` is finite. */
export function singularParts(matrixOI: Float32Array, columns: number): SingularParts {
  const rows = matrixOI.length / columns;
  if (rows < columns) {
    const { values, factors, truncationError } = singularParts(transposed(matrixOI, columns), rows);
    const exchanged = (rank: number): LowRankFactors => {
      const { a, b } = factors(rank);
      return { b: transposed(a, rows), a: transposed(b, rank) };
    };
    return { values, factors: exchanged, truncationError };
  }
  const { squares, leadingVectors } = gramDirections(matrixOI, columns);
  return {
    values: squares.map(Math.sqrt),
    factors: (rank) => {
      const own = Math.min(rank, squares.filter((square) => square > 0).length);
      return factorsOf(matrixOI, columns, leadingVectors(own), rank);
    },
    truncationError: (rank) => {
      const sum = (from: number): number => squares.subarray(from).reduce((total, square) => total + square, 0);
      const all = sum(0);
      return all === 0 ? 0 : Math.sqrt(sum(rank) / all);
    },
  };
}

/**
 * B = M V / sqrt(s), A = sqrt(s) V^T with s the lengths of the columns of M V. `vectorsRI`: rows of V^T; those that
 * lack are zeros.
 */
function factorsOf(matrixOI: Float32Array, columns: number, vectorsRI: Float64Array, rank: number): LowRankFactors {
  const rows = matrixOI.length / columns;
  const { imagesRK: imagesOR, values } = imagesOf(matrixOI, columns, vectorsRI);
  const own = values.length;
  const b = new Float32Array(rows * rank);
  const a = new Float32Array(rank * columns);
  for (let r = 0; r < own; r++) {
    const vectorI = vectorsRI.subarray(r * columns, (r + 1) * columns);
    const root = Math.sqrt(values[r] ?? 0) * signOf(vectorI);
    for (let o = 0; o < rows; o++) b[o * rank + r] = (imagesOR[o * own + r] ?? 0) / root;
    for (let i = 0; i < columns; i++) a[r * columns + i] = (vectorI[i] ?? 0) * root;
  }
  return { b, a };
}

/**
 * A singular pair has either sign; here the largest element of its vector on the smaller side is positive, the first of
 * equal ones.
 */
function signOf(vector: Float64Array): number {
  let largest = 0;
  for (const value of vector) if (Math.abs(value) > Math.abs(largest)) largest = value;
  return largest < 0 ? -1 : 1;
}

/** Norm of matrix - B A, and of the matrix. */
export function factorsError(
  matrixOI: Float32Array,
  columns: number,
  { b, a }: LowRankFactors,
): { readonly difference: number; readonly norm: number } {
  const rows = matrixOI.length / columns;
  const productOI = new Float64Array(matrixOI.length);
  productsWith(a, rows, columns, "float64")(b, productOI);
  let [difference, norm] = [0, 0];
  for (const [index, value] of matrixOI.entries()) {
    difference += (value - (productOI[index] ?? 0)) ** 2;
    norm += value ** 2;
  }
  return { difference: Math.sqrt(difference), norm: Math.sqrt(norm) };
}
