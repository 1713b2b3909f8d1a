/**
 * Task vectors of a matrix made orthogonal to one another, as TSV-M does (Gargiulo et al. 2025, arXiv:2412.00081): each
 * keeps its leading S / T singular triples, and the singular vectors of all tasks side by side are replaced by the
 * nearest orthonormal ones. R rows, C columns, S = min(R, C), T tasks, K triples of all tasks.
 *
 * Differs from the official code where a task vector has fewer directions than it may keep, as adapters do: there the
 * decomposition's remaining vectors are noise with values of zero, which would turn those of the other tasks. Here
 * these places stay empty, as do those that are left over when T does not divide S.
 */
import { productsWith, transposed } from "./kernels/products.js";
import { leadingTriples, polarFactor, type SingularTriples } from "./singular-triples.js";

/** All tasks' triples, T blocks of `kept`. */
interface OrthogonalFactors {
  /** [R, K], orthonormal columns, times their values. */
  readonly scaledRK: Float64Array;
  /** [C, K], orthonormal columns. */
  readonly vCK: Float64Array;
  readonly kept: number;
}

function orthogonalFactors(taskVectors: readonly Float32Array[], columns: number): OrthogonalFactors {
  const rows = (taskVectors[0]?.length ?? 0) / columns;
  const kept = Math.floor(Math.min(rows, columns) / taskVectors.length);
  const all = kept * taskVectors.length;
  if (all === 0) return { scaledRK: new Float64Array(), vCK: new Float64Array(), kept };
  const triples = taskVectors.map((tauRC) => leadingTriples(tauRC, columns, kept));
  const uRK = sideBySide(triples, "u", rows, kept);
  const vCK = sideBySide(triples, "v", columns, kept);
  const scaledRK = polarFactor(uRK, all, "exact").factorRC;
  const values = triples.flatMap((own) => [...own.values]);
  for (let index = 0; index < scaledRK.length; index++)
    scaledRK[index] = (scaledRK[index] ?? 0) * (values[index % all] ?? 0);
  return { scaledRK, vCK: polarFactor(vCK, all, "exact").factorRC, kept };
}

function sideBySide(triples: readonly SingularTriples[], side: "u" | "v", length: number, kept: number): Float64Array {
  const all = kept * triples.length;
  const joined = new Float64Array(length * all);
  for (const [task, own] of triples.entries())
    for (let row = 0; row < length; row++)
      joined.set(own[side].subarray(row * kept, (row + 1) * kept), row * all + task * kept);
  return joined;
}

/** What TSV-M merges: the sum of the tasks' parts, [R, C]. */
export function orthogonalSum(taskVectors: readonly Float32Array[], columns: number): Float64Array {
  const { scaledRK, vCK, kept } = orthogonalFactors(taskVectors, columns);
  return timesTransposed(scaledRK, vCK, kept * taskVectors.length, taskVectors[0]?.length ?? 0, columns);
}

/** Each task's part of that sum, T of [R, C]. */
export function orthogonalParts(taskVectors: readonly Float32Array[], columns: number): Float64Array[] {
  const { scaledRK, vCK, kept } = orthogonalFactors(taskVectors, columns);
  const all = kept * taskVectors.length;
  return taskVectors.map((tauRC, task) => {
    const from = task * kept;
    const own = columnsOf(scaledRK, all, from, kept);
    return timesTransposed(own, columnsOf(vCK, all, from, kept), kept, tauRC.length, columns);
  });
}

/** left [R, K] times the transpose of right [C, K], of `size` elements in all. */
function timesTransposed(
  leftRK: Float64Array,
  rightCK: Float64Array,
  count: number,
  size: number,
  columns: number,
): Float64Array {
  const productRC = new Float64Array(size);
  if (count > 0) productsWith(transposed(rightCK, count), size / columns, columns, "float64")(leftRK, productRC);
  return productRC;
}

function columnsOf(matrix: Float64Array, columns: number, from: number, count: number): Float64Array {
  const own = new Float64Array(columns === 0 ? 0 : (matrix.length / columns) * count);
  for (let row = 0; row * count < own.length; row++)
    own.set(matrix.subarray(row * columns + from, row * columns + from + count), row * count);
  return own;
}
