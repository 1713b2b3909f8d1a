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

/** All tasks' triples, one task's after the other's. */
interface OrthogonalFactors {
  /** [R, K], orthonormal columns, times their values. */
  readonly scaledRK: Float64Array;
  /** [C, K], orthonormal columns. */
  readonly vCK: Float64Array;
  /** [T], each task's share of the K. */
  readonly counts: readonly number[];
}

function orthogonalFactors(taskVectors: readonly Float32Array[], columns: number): OrthogonalFactors {
  const rows = (taskVectors[0]?.length ?? 0) / columns;
  const most = Math.floor(Math.min(rows, columns) / taskVectors.length);
  const triples = taskVectors.map((tauRC) => leadingTriples(tauRC, columns, most));
  const counts = triples.map(({ values }) => values.filter((value) => value > 0).length);
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return { scaledRK: new Float64Array(), vCK: new Float64Array(), counts };
  const scaledRK = polarFactor(sideBySide(triples, "u", rows, counts), all, "exact").factorRC;
  const values = triples.flatMap((own, task) => [...own.values.subarray(0, counts[task])]);
  for (let index = 0; index < scaledRK.length; index++)
    scaledRK[index] = (scaledRK[index] ?? 0) * (values[index % all] ?? 0);
  const vCK = polarFactor(sideBySide(triples, "v", columns, counts), all, "exact").factorRC;
  return { scaledRK, vCK, counts };
}

/** The vectors of each task that have a value, [length, K]. */
export function sideBySide(
  triples: readonly SingularTriples[],
  side: "u" | "v",
  length: number,
  counts: readonly number[],
): Float64Array {
  const all = counts.reduce((sum, count) => sum + count, 0);
  const joined = new Float64Array(length * all);
  let first = 0;
  for (const [task, { [side]: vectors, values }] of triples.entries()) {
    const count = counts[task] ?? 0;
    for (let row = 0; row < length; row++) {
      const from = row * values.length;
      joined.set(vectors.subarray(from, from + count), row * all + first);
    }
    first += count;
  }
  return joined;
}

/** What TSV-M merges: the sum of the tasks' parts, [R, C]. */
export function orthogonalSum(taskVectors: readonly Float32Array[], columns: number): Float64Array {
  const { scaledRK, vCK } = orthogonalFactors(taskVectors, columns);
  return timesTransposed(scaledRK, vCK, vCK.length / columns, taskVectors[0]?.length ?? 0, columns);
}

/** Each task's part of that sum, T of [R, C]. */
export function orthogonalParts(taskVectors: readonly Float32Array[], columns: number): Float64Array[] {
  const { scaledRK, vCK, counts } = orthogonalFactors(taskVectors, columns);
  const all = vCK.length / columns;
  let next = 0;
  return taskVectors.map((tauRC, task) => {
    const [from, count] = [next, counts[task] ?? 0];
    next += count;
    const own = columnsOf(scaledRK, all, from, count);
    return timesTransposed(own, columnsOf(vCK, all, from, count), count, tauRC.length, columns);
  });
}

/** left [R, K] times the transpose of right [C, K], of `size` elements in all. */
export function timesTransposed(
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

/** `count` neighbouring columns of a matrix. */
export function columnsOf(matrix: Float64Array, columns: number, from: number, count: number): Float64Array {
  const own = new Float64Array(columns === 0 ? 0 : (matrix.length / columns) * count);
  for (let row = 0; row * count < own.length; row++)
    own.set(matrix.subarray(row * columns + from, row * columns + from + count), row * count);
  return own;
}
