/**
 * The leading singular triples of a weight matrix, and the orthonormal matrix nearest to one, in float64, from the
 * eigenvectors of the smaller Gram matrix: a tenth of the time of a whole decomposition. Vectors on the other side are
 * images under the matrix, so their error is the Gram matrix's rounding, 1e-16 (s_1 / s_i)^2. R rows, C columns,
 * S = min(R, C), K triples.
 */
import { gramOf, productsWith, transposed } from "./kernels/products.js";
import { sampledRowSpace } from "./range-finder.js";
import { symmetricEigen } from "./symmetric-eigen.js";

/**
 * Directions with less than this of the largest singular value are rounding: a task vector is a difference of float32
 * weights some tens of times its size. Of real adapters the first value beyond the rank is 2^-21 of the largest;
 * the least value of experts tuned in full, or of their sum, is some 2^-13.
 */
const ROUNDING = 2 ** -17;

/** Zeros in all three where the matrix has fewer directions. */
export interface SingularTriples {
  /** [R, K] */
  readonly u: Float64Array;
  /** [K], descending. */
  readonly values: Float64Array;
  /** [C, K] */
  readonly v: Float64Array;
}

/** `matrixRC` is finite, `count` at most S. */
export function leadingTriples(matrixRC: Float32Array | Float64Array, columns: number, count: number): SingularTriples {
  const rows = matrixRC.length / columns;
  if (rows < columns) {
    const exchanged = matrixRC instanceof Float32Array ? transposed(matrixRC, columns) : transposed(matrixRC, columns);
    const { u, values, v } = leadingTriples(exchanged, rows, count);
    return { u: v, values, v: u };
  }
  // Only single task vectors, which float32 holds, have few directions.
  const few = matrixRC instanceof Float32Array ? lowRankDirections(matrixRC, columns, count) : undefined;
  const { vectorsKC, imagesRK, values } = few ?? leadingDirections(matrixRC, columns, ROUNDING, count);
  const found = values.length;
  const triples = { u: new Float64Array(rows * count), values: new Float64Array(count) };
  const v = new Float64Array(columns * count);
  triples.values.set(values);
  for (let r = 0; r < rows; r++) triples.u.set(imagesRK.subarray(r * found, (r + 1) * found), r * count);
  for (let k = 0; k < found; k++) for (let c = 0; c < columns; c++) v[c * count + k] = vectorsKC[k * columns + c] ?? 0;
  return { ...triples, v };
}

/** All directions of a matrix that has at most `count`, and these are few; undefined for others. R >= C. */
function lowRankDirections(matrixRC: Float32Array, columns: number, count: number): Directions | undefined {
  const space = sampledRowSpace(matrixRC, columns, count, (sampledCP, samples) => {
    return polarFactor(sampledCP, samples, "float32 difference").factorRC;
  });
  if (space === undefined) return undefined;
  const { basisCP, imagesRP, leftOut } = space;
  const samples = basisCP.length / columns;
  const { vectorsKC: vectorsKP, imagesRK, values } = leadingDirections(imagesRP, samples, ROUNDING, count);
  if (leftOut > ROUNDING * (values[0] ?? 0)) return undefined;
  const vectorsKC = new Float64Array(values.length * columns);
  if (values.length > 0)
    productsWith(transposed(basisCP, samples), values.length, columns, "float64")(vectorsKP, vectorsKC);
  return { vectorsKC, imagesRK, values };
}

export interface PolarFactor {
  /** [R, C]; orthonormal columns (rows, if these are fewer) unless directions lack. */
  readonly factorRC: Float64Array;
  /** Of all singular values. */
  readonly sum: number;
}

/**
 * The orthonormal matrix nearest to a given one: u v^T of its singular vectors (orthogonal Procrustes, Schoenemann
 * 1966). What is missing of it are the directions that the matrix lacks, of which any would be as near. With `exact` a
 * direction counts as long as float64 tells it from none, without it as long as it is more than rounding of float32.
 */
export function polarFactor(
  matrixRC: Float64Array,
  columns: number,
  precision: "exact" | "float32 difference",
): PolarFactor {
  const rows = matrixRC.length / columns;
  if (rows < columns) {
    const { factorRC, sum } = polarFactor(transposed(matrixRC, columns), rows, precision);
    return { factorRC: transposed(factorRC, rows), sum };
  }
  const least = precision === "exact" ? 0 : ROUNDING;
  const { vectorsKC, imagesRK, values } = leadingDirections(matrixRC, columns, least, columns);
  const factorRC = new Float64Array(matrixRC.length);
  if (values.length > 0) productsWith(vectorsKC, rows, columns, "float64")(imagesRK, factorRC);
  return { factorRC, sum: values.reduce((total, value) => total + value, 0) };
}

interface Directions {
  /** [K, C], orthonormal rows. */
  readonly vectorsKC: Float64Array;
  /** [R, K], their images, of length 1. */
  readonly imagesRK: Float64Array;
  /** [K], the lengths that these had. */
  readonly values: Float64Array;
}

/** The eigenvectors of a matrix's Gram matrix [C, C]. R >= C. */
export interface GramDirections {
  /** [C], squares of the singular values, descending; 0 where the Gram matrix cannot tell them from its own rounding. */
  readonly squares: Float64Array;
  /** [K, C], orthonormal rows: the first `count`. */
  leadingVectors(count: number): Float64Array;
}

export function gramDirections(matrixRC: Float32Array | Float64Array, columns: number): GramDirections {
  const { values, leadingVectors } = symmetricEigen(gramOf(matrixRC, columns), columns);
  const least = (values[0] ?? 0) * columns * Number.EPSILON;
  return { squares: values.map((square) => (square > least ? square : 0)), leadingVectors };
}

/** Images [R, K] of directions [K, C] under a matrix, and their lengths [K], the singular values. */
export function imagesOf(
  matrixRC: Float32Array | Float64Array,
  columns: number,
  vectorsKC: Float64Array,
): { readonly imagesRK: Float64Array; readonly values: Float64Array } {
  const [rows, count] = [matrixRC.length / columns, vectorsKC.length / columns];
  const imagesRK = new Float64Array(rows * count);
  const values = new Float64Array(count);
  if (count === 0) return { imagesRK, values };
  productsWith(transposed(vectorsKC, columns), rows, count, "float64")(matrixRC, imagesRK);
  for (let r = 0; r < rows; r++)
    for (let k = 0; k < count; k++) values[k] = (values[k] ?? 0) + (imagesRK[r * count + k] ?? 0) ** 2;
  for (let k = 0; k < count; k++) values[k] = Math.sqrt(values[k] ?? 0);
  return { imagesRK, values };
}

/** At most `count`, of singular values above `least` of the largest; R >= C. */
function leadingDirections(
  matrixRC: Float32Array | Float64Array,
  columns: number,
  least: number,
  count: number,
): Directions {
  const { squares, leadingVectors } = gramDirections(matrixRC, columns);
  const border = (squares[0] ?? 0) * least ** 2;
  const found = Math.min(count, squares.filter((square) => square > border).length);
  const vectorsKC = leadingVectors(found);
  const { imagesRK, values } = imagesOf(matrixRC, columns, vectorsKC);
  for (let index = 0; index < imagesRK.length; index++)
    imagesRK[index] = (imagesRK[index] ?? 0) / (values[index % found] ?? 0);
  return { vectorsKC, imagesRK, values };
}
