/** Singular value decompositions for methods on weight matrices, by ml-matrix with our products, in float64. R rows, C columns, S = min(R, C). */
import { EigenvalueDecomposition, Matrix, SingularValueDecomposition } from "ml-matrix";
import { productsWith } from "./kernels/products.js";

export interface Svd {
  /** [R, S], orthonormal columns. */
  readonly u: Matrix;
  /** [S], descending. */
  readonly values: readonly number[];
  /** [S, C], orthonormal rows. */
  readonly vt: Matrix;
}

/**
 * Below this ratio of the smallest to the largest eigenvalue of the Gram matrix (1e-4 of the singular values), vectors that come from it
 * would be off by more than 1e-8.
 */
const WELL_CONDITIONED = 1e-8;

/**
 * The thin decomposition u diag(values) vt of a matrix. From the eigenvectors of its Gram matrix where the matrix is well-conditioned, which takes a
 * quarter of the time, and by the library's own decomposition where it is not.
 */
export function thinSvd(matrix: Matrix): Svd {
  if (matrix.rows < matrix.columns) {
    const { u, values, vt } = thinSvd(matrix.transpose());
    return { u: vt.transpose(), values, vt: u.transpose() };
  }
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(product(matrix.transpose(), matrix), {
    assumeSymmetric: true,
  });
  const order = realEigenvalues
    .map((_, index) => index)
    .sort((a, b) => (realEigenvalues[b] ?? 0) - (realEigenvalues[a] ?? 0));
  const squares = order.map((index) => realEigenvalues[index] ?? 0);
  if ((squares.at(-1) ?? 0) > WELL_CONDITIONED * (squares[0] ?? 0)) {
    const v = eigenvectorMatrix.subMatrixColumn(order);
    const values = squares.map(Math.sqrt);
    return { u: product(matrix, v).divRowVector(values), values, vt: v.transpose() };
  }
  const decomposition = new SingularValueDecomposition(matrix);
  return {
    u: decomposition.leftSingularVectors,
    values: decomposition.diagonal,
    vt: decomposition.rightSingularVectors.transpose(),
  };
}

/** A row-major float32 tensor of two dimensions as a matrix. */
export function matrixOf(valuesRC: Float32Array, [rows = 1, columns = 1]: readonly number[]): Matrix {
  return Matrix.from1DArray(rows, columns, valuesRC);
}

/** The orthonormal matrix nearest to a given one: u vt of its decomposition (orthogonal Procrustes, Schoenemann 1966). */
export function nearestOrthonormal(matrix: Matrix): Matrix {
  const { u, vt } = thinSvd(matrix);
  return product(u, vt);
}

/** left [R, J] right [J, C], float64: some ten times as fast as `mmul`, in which decompositions would spend half of their time. */
export function product(left: Matrix, right: Matrix): Matrix {
  const [rows, columns] = [left.rows, right.columns];
  const sumRC = new Float64Array(rows * columns);
  productsWith(right.to1DArray(), rows, columns, "float64")(left.to1DArray(), sumRC);
  return Matrix.from1DArray(rows, columns, sumRC);
}
