/**
 * Task vectors of a matrix made orthogonal to one another, as TSV-M does (Gargiulo et al. 2025, arXiv:2412.00081): each keeps its leading
 * S / K singular triples, and the singular vectors of all tasks side by side are replaced by the nearest orthonormal ones. R rows, C columns,
 * S = min(R, C), K tasks.
 */
import { Matrix } from "ml-matrix";
import { nearestOrthonormal, product, thinSvd } from "./svd.js";

/** All tasks' leading triples: `u` [R, S] and `vt` [S, C] orthonormal, K blocks of `kept` directions with their `values` [S]. */
export interface OrthogonalFactors {
  readonly u: Matrix;
  readonly values: readonly number[];
  readonly vt: Matrix;
  readonly kept: number;
}

export function orthogonalFactors(taskVectors: readonly Matrix[]): OrthogonalFactors {
  const [rows, columns] = [taskVectors[0]?.rows ?? 0, taskVectors[0]?.columns ?? 0];
  const rank = Math.min(rows, columns);
  const kept = Math.floor(rank / taskVectors.length);
  // The columns that are left over when K does not divide S stay zero, as in the official code.
  const u = Matrix.zeros(rows, rank);
  const vt = Matrix.zeros(rank, columns);
  const values = new Array<number>(rank).fill(0);
  for (const [task, matrix] of taskVectors.entries()) {
    const own = thinSvd(matrix);
    for (let index = 0; index < kept; index++) {
      const target = task * kept + index;
      u.setColumn(target, own.u.getColumn(index));
      vt.setRow(target, own.vt.getRow(index));
      values[target] = own.values[index] ?? 0;
    }
  }
  return { u: nearestOrthonormal(u), values, vt: nearestOrthonormal(vt), kept };
}

/** What TSV-M merges: the sum of the tasks' parts, [R, C]. */
export function orthogonalSum(taskVectors: readonly Matrix[]): Matrix {
  const { u, values, vt } = orthogonalFactors(taskVectors);
  return product(u.clone().mulRowVector([...values]), vt);
}

/** Each task's part of that sum, K of [R, C]. */
export function orthogonalParts(taskVectors: readonly Matrix[]): Matrix[] {
  const { u, values, vt, kept } = orthogonalFactors(taskVectors);
  return taskVectors.map((_, task) => {
    const [first, last] = [task * kept, (task + 1) * kept - 1];
    if (kept === 0) return Matrix.zeros(u.rows, vt.columns);
    const scaled = u.subMatrix(0, u.rows - 1, first, last).mulRowVector(values.slice(first, last + 1));
    return product(scaled, vt.subMatrix(first, last, 0, vt.columns - 1));
  });
}
