/**
 * Task vectors of a matrix in one basis, as KnOTS has them (Stoica et al. 2025, arXiv:2410.19735; official code KnOTS
 * @baa35e8, task_merger.py: SVDMerger): of all of them side by side
 *
 *     [tau_1 ... tau_K] = U S [V_1^T ... V_K^T]        aligned_k = S V_k^T = U^T tau_k
 *
 * LoRA experts change different directions; in the basis of all they can be compared element by element, and U brings
 * what is merged there back. R rows, C columns, D directions, K tasks.
 *
 * Differs from the official code: directions count that are more than rounding of float32 weights (there: singular
 * values above 1e-5); tensors that are not matrices stay as they are (there a bias is one more column of its matrix).
 */
import { productsWith, transposed } from "./kernels/products.js";
import { magnitudeThresholds, type TaskVectorStream, trim } from "./magnitudes.js";
import { columnsOf, sideBySide } from "./orthogonal-task-vectors.js";
import { leadingTriples } from "./singular-triples.js";
import { electSigns, majoritySign } from "./task-vector-processing.js";

export interface AlignedTaskVectors {
  /** K arrays [D, C], fresh; the task vectors themselves where they are no matrix. */
  readonly alignedKDC: Float32Array[];
  /** U times a matrix [D, C]: [R, C]. What is no matrix stays as it is. */
  restore(mergedDC: Float64Array): Float64Array;
}

/** A share of a matrix's directions that adapters have at most: those are decomposed by their few directions. */
const FEW = 1 / 4;

export function alignedTaskVectors(taskVectors: readonly Float32Array[], shape: readonly number[]): AlignedTaskVectors {
  const [rows = 0, columns = 0] = shape;
  if (shape.length !== 2) return { alignedKDC: taskVectors.map((tau) => tau.slice()), restore: (merged) => merged };
  const { values, uDR } = leftDirections(taskVectors, rows, columns);
  const uRD = transposed(uDR, rows);
  const alignedKDC = taskVectors.map((tauRC) => {
    const productDC = new Float64Array(values * columns);
    if (values > 0) productsWith(tauRC, values, columns, "float64")(uDR, productDC);
    return Float32Array.from(productDC);
  });
  return {
    alignedKDC,
    restore: (mergedDC) => {
      const restoredRC = new Float64Array(rows * columns);
      if (values > 0) productsWith(mergedDC, rows, columns, "float64")(uRD, restoredRC);
      return restoredRC;
    },
  };
}

/** U^T [D, R] of the task vectors side by side. Of those of few directions u_k s_k stands for tau_k: U is the same. */
function leftDirections(
  taskVectors: readonly Float32Array[],
  rows: number,
  columns: number,
): { readonly values: number; readonly uDR: Float64Array } {
  const most = Math.floor(Math.min(rows, columns) * FEW);
  const few = most === 0 ? [] : taskVectors.map((tauRC) => leadingTriples(tauRC, columns, most));
  const counts = few.map(({ values }) => values.filter((value) => value > 0).length);
  const isFew = few.length > 0 && counts.every((count) => count < most);
  const width = isFew ? counts.reduce((sum, count) => sum + count, 0) : taskVectors.length * columns;
  if (width === 0) return { values: 0, uDR: new Float64Array() };
  const joined = isFew ? sideBySide(few, "u", rows, counts) : joinedColumns(taskVectors, rows, columns);
  if (isFew) {
    const values = few.flatMap((own, task) => [...own.values.subarray(0, counts[task])]);
    for (let index = 0; index < joined.length; index++)
      joined[index] = (joined[index] ?? 0) * (values[index % width] ?? 0);
  }
  const directions = Math.min(rows, width);
  const { u, values } = leadingTriples(joined, width, directions);
  const found = values.filter((value) => value > 0).length;
  return { values: found, uDR: transposed(columnsOf(u, directions, 0, found), found) };
}

/** [R, K C] */
function joinedColumns(taskVectors: readonly Float32Array[], rows: number, columns: number): Float64Array {
  const width = taskVectors.length * columns;
  const joined = new Float64Array(rows * width);
  for (const [task, tauRC] of taskVectors.entries())
    for (let row = 0; row < rows; row++)
      joined.set(tauRC.subarray(row * columns, (row + 1) * columns), row * width + task * columns);
  return joined;
}

/** What KnOTS with TIES finds out about the whole model, in the bases of its matrices. */
export interface KnotsElection {
  readonly thresholds: readonly number[];
  readonly majority: number;
}

/** `stream`: aligned task vectors of the whole model. */
export async function knotsElection(stream: TaskVectorStream, density: number): Promise<KnotsElection> {
  const thresholds = await magnitudeThresholds(stream, density);
  return { thresholds, majority: await majoritySign(stream, thresholds) };
}

/**
 * Trims aligned task vectors and sets to 0 what disagrees with the elected signs, as TIES does, in place; returns how
 * many tasks each element has left.
 */
export function elected(alignedKDC: readonly Float32Array[], { thresholds, majority }: KnotsElection): Uint32Array {
  trim(alignedKDC, thresholds);
  electSigns(alignedKDC, majority);
  const counts = new Uint32Array(alignedKDC[0]?.length ?? 0);
  for (const aligned of alignedKDC)
    for (let i = 0; i < counts.length; i++) if (aligned[i] !== 0) counts[i] = (counts[i] ?? 0) + 1;
  return counts;
}
