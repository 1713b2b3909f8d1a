/**
 * Iso-CTS (Marczak et al. 2025, arXiv:2502.04959, algorithm 2; official code iso-merging @d34010a): the leading directions of the sum of the task vectors,
 * and for each task those of what lies outside them, made orthonormal together and all equally strong. R rows, C columns, n = min(R, C), T tasks.
 *
 * Differs from the official code: directions that a matrix lacks stay empty, where the code fills them with the decomposition's noise.
 */
import { productsWith, transposed } from "./kernels/products.js";
import { columnsOf, sideBySide, timesTransposed } from "./orthogonal-task-vectors.js";
import { leadingTriples, polarFactor, type SingularTriples } from "./singular-triples.js";

/** How many of the n directions are the sum's, and how many each task's. */
function divided(directions: number, tasks: number, commonShare: number): { common: number; own: number } {
  const wanted = roundHalfEven((directions - Math.floor(commonShare * directions)) / tasks);
  const own = Math.min(wanted, Math.floor(directions / tasks));
  return { common: directions - own * tasks, own };
}

/** As Python's round. */
function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

/** The tasks' parts of the merged change, T of [R, C]: each its own directions and an equal part of the common ones. */
export function isotropicParts(
  taskVectors: readonly Float32Array[],
  columns: number,
  commonShare: number,
): Float64Array[] {
  const size = taskVectors[0]?.length ?? 0;
  const directions = Math.min(columns, size / columns);
  const tasks = taskVectors.length;
  const { common, own } = divided(directions, tasks, commonShare);
  const ofSum = leadingTriples(sumOf(taskVectors), columns, common);
  const triples = [...taskVectors.map((tauRC) => leadingTriples(outside(tauRC, columns, ofSum), columns, own)), ofSum];
  const counts = triples.map(({ values }) => values.filter((value) => value > 0).length);
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return taskVectors.map(() => new Float64Array(size));
  const strength = triples.reduce((sum, { values }) => sum + values.reduce((a, b) => a + b, 0), 0) / directions;
  const orthonormal = (side: "u" | "v", length: number) =>
    polarFactor(sideBySide(triples, side, length, counts), all, "exact").factorRC;
  const [uRK, vCK] = [orthonormal("u", size / columns), orthonormal("v", columns)];
  let from = 0;
  const parts = counts.map((count) => {
    const [left, right] = [columnsOf(uRK, all, from, count), columnsOf(vCK, all, from, count)];
    from += count;
    return timesTransposed(left, right, count, size, columns).map((value) => strength * value);
  });
  const shared = parts[tasks];
  return parts.slice(0, tasks).map((part) => part.map((value, index) => value + (shared?.[index] ?? 0) / tasks));
}

/** The sum of task vectors, or of their parts, in float64. */
export function sumOf(taskVectors: readonly (Float32Array | Float64Array)[]): Float64Array {
  const sum = new Float64Array(taskVectors[0]?.length ?? 0);
  for (const tau of taskVectors) for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (tau[i] ?? 0);
  return sum;
}

/** What of a matrix lies outside these left directions: (I - U U^T) tau. Empty directions take nothing away. */
function outside(tauRC: Float32Array, columns: number, { u, values }: SingularTriples): Float64Array {
  const [rows, count] = [tauRC.length / columns, values.length];
  const left = Float64Array.from(tauRC);
  if (count === 0) return left;
  const insideKC = new Float64Array(count * columns);
  productsWith(tauRC, count, columns, "float64")(transposed(u, count), insideKC);
  const insideRC = new Float64Array(tauRC.length);
  productsWith(insideKC, rows, columns, "float64")(u, insideRC);
  return left.map((value, index) => value - (insideRC[index] ?? 0));
}
