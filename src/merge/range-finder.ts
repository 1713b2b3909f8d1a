/**
 * The few directions that a matrix of low rank has, found by random samples of its rows (Halko, Martinsson and Tropp 2011, "Finding
 * structure with randomness", arXiv:0909.4061, algorithms 4.1 and 4.3), for the task vectors of adapters: a quarter of the time that the Gram
 * matrix of all columns takes. What the samples missed is measured, so that a matrix of higher rank is told from one of low rank.
 * R rows, C columns, P samples.
 */
import { createRng } from "../runtime/rng.js";
import { productsWith, transposed } from "./kernels/products.js";

export interface RowSpace {
  /** [C, P], a partial isometry onto the directions. */
  readonly basisCP: Float64Array;
  /** [R, P], the matrix times the basis: images basis^T is the matrix, but for what is left out. */
  readonly imagesRP: Float64Array;
  /** The largest singular value of what is left out, by power iteration: some percent too small where several are alike. */
  readonly leftOut: number;
}

/** More samples than directions make it all but certain that none is missed. */
const OVERSAMPLING = 8;
/** With more samples than this share of the columns the Gram matrix costs no more. */
const LARGEST_SHARE = 1 / 3;
const POWER_ITERATIONS = 4;

/**
 * The row space of a matrix [R, C] with R >= C, as far as `most` directions and some more span it. Undefined where that saves nothing.
 * `isometry` makes the partial isometry nearest to a matrix [C, P].
 */
export function sampledRowSpace(
  matrixRC: Float32Array,
  columns: number,
  most: number,
  isometry: (matrixCP: Float64Array, columns: number) => Float64Array,
): RowSpace | undefined {
  const rows = matrixRC.length / columns;
  const samples = most + OVERSAMPLING;
  if (samples > columns * LARGEST_SHARE) return undefined;
  const sampledPC = new Float64Array(samples * columns);
  productsWith(matrixRC, samples, columns, "float64")(signs(samples * rows), sampledPC);
  const basisCP = isometry(transposed(sampledPC, columns), samples);
  const imagesRP = new Float64Array(rows * samples);
  productsWith(basisCP, rows, samples, "float64")(matrixRC, imagesRP);
  return { basisCP, imagesRP, leftOut: largestDifference(matrixRC, columns, basisCP, imagesRP) };
}

/** -1 or 1 at random, 32 of a draw; the same for every matrix, so that a merge is the same to the bit each time. */
function signs(count: number): Float64Array {
  const rng = createRng("range finder");
  const drawn = new Float64Array(count);
  let bits = 0;
  for (let index = 0; index < count; index++) {
    if (index % 32 === 0) bits = rng.nextUint32();
    drawn[index] = (bits >>> (index % 32)) & 1 ? 1 : -1;
  }
  return drawn;
}

/** The largest singular value of matrix - images basis^T, which is never laid out. */
function largestDifference(
  matrixRC: Float32Array,
  columns: number,
  basisCP: Float64Array,
  imagesRP: Float64Array,
): number {
  const rows = matrixRC.length / columns;
  const samples = basisCP.length / columns;
  let vectorC = signs(columns);
  let value = 0;
  for (let iteration = 0; iteration < POWER_ITERATIONS; iteration++) {
    const length = Math.hypot(...vectorC);
    if (length === 0) return 0;
    const unitC = vectorC.map((element) => element / length);
    const inBasisP = new Float64Array(samples);
    for (let column = 0; column < columns; column++) addRow(inBasisP, basisCP, column, unitC[column] ?? 0);
    const next = new Float64Array(columns);
    const imageInBasisP = new Float64Array(samples);
    let squares = 0;
    for (let row = 0; row < rows; row++) {
      const image = rowTimes(matrixRC, row, unitC) - rowTimes(imagesRP, row, inBasisP);
      squares += image * image;
      addRow(next, matrixRC, row, image);
      addRow(imageInBasisP, imagesRP, row, image);
    }
    for (let column = 0; column < columns; column++)
      next[column] = (next[column] ?? 0) - rowTimes(basisCP, column, imageInBasisP);
    value = Math.sqrt(squares);
    vectorC = next;
  }
  return value;
}

/** One row of a matrix as wide as the vector is long, times the vector. */
function rowTimes(matrix: Float32Array | Float64Array, row: number, vector: Float64Array): number {
  const first = row * vector.length;
  let sum = 0;
  for (let index = 0; index < vector.length; index++) sum += (matrix[first + index] ?? 0) * (vector[index] ?? 0);
  return sum;
}

/** Adds one row, `factor` times, to a sum as long as the matrix is wide. */
function addRow(sum: Float64Array, matrix: Float32Array | Float64Array, row: number, factor: number): void {
  const first = row * sum.length;
  for (let index = 0; index < sum.length; index++)
    sum[index] = (sum[index] ?? 0) + factor * (matrix[first + index] ?? 0);
}
