/** Singular value decompositions for methods on weight matrices, by ml-matrix, in float64. R rows, C columns, S = min(R, C). */
import { Matrix, SingularValueDecomposition } from "ml-matrix";

export interface Svd {
  /** [R, S], orthonormal columns. */
  readonly u: Matrix;
  /** [S], descending. */
  readonly values: readonly number[];
  /** [S, C], orthonormal rows. */
  readonly vt: Matrix;
}

/** The thin decomposition u diag(values) vt of a matrix. */
export function thinSvd(matrix: Matrix): Svd {
  const decomposition = new SingularValueDecomposition(matrix, { autoTranspose: true });
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
  return u.mmul(vt);
}
