/**
 * Singular-value calibration (SVC, Li et al. 2026, arXiv:2602.05536, in FusionBench's form): along each left singular direction u of the sum of the task vectors, tasks that agree are counted
 * several times over; the direction is shrunk by how far the sum's projection exceeds the tasks' own. R rows, C columns, S = min(R, C) directions, T tasks.
 *
 *     M = sum_t tau_t = U diag(s) V^T     a_r = u_r^T M     a_rt = u_r^T tau_t     s_rt = <a_r, a_rt> / |a_rt|^2
 *     gamma_r = T / sum_t max(floor, s_rt)                change = sum_r gamma_r u_r u_r^T M
 *
 * A task without anything along a direction is left out of its mean. The change is linear in the task vectors, so each has a part.
 */
import { sumOf } from "./isotropic-subspaces.js";
import { productsWith, transposed } from "./kernels/products.js";
import { leadingTriples } from "./singular-triples.js";

/** U diag(gamma) U^T tau_t of each task, T of [R, C]; their sum is the calibrated merge. */
export function calibratedParts(taskVectors: readonly Float32Array[], columns: number, floor: number): Float64Array[] {
  const size = taskVectors[0]?.length ?? 0;
  const rows = size / columns;
  const directions = Math.min(rows, columns);
  const { u: uRS, values } = leadingTriples(sumOf(taskVectors), columns, directions);
  const uSR = transposed(uRS, directions);
  const projections = taskVectors.map((tauRC) => {
    const projectedSC = new Float64Array(directions * columns);
    productsWith(tauRC, directions, columns, "float64")(uSR, projectedSC);
    return projectedSC;
  });
  const gammas = values.map((value, r) => (value > 0 ? gammaOf(r, columns, projections, floor) : 0));
  return projections.map((projectedSC) => {
    const scaledSC = projectedSC.map((value, index) => value * (gammas[Math.floor(index / columns)] ?? 0));
    const partRC = new Float64Array(size);
    productsWith(scaledSC, rows, columns, "float64")(uRS, partRC);
    return partRC;
  });
}

/** What direction r is multiplied by. */
function gammaOf(r: number, columns: number, projections: readonly Float64Array[], floor: number): number {
  const own = projections.map((projectedSC) => projectedSC.subarray(r * columns, (r + 1) * columns));
  const sumC = sumOf(own);
  let [total, tasks] = [0, 0];
  for (const aC of own) {
    const square = aC.reduce((sum, value) => sum + value * value, 0);
    if (square === 0) continue;
    const inner = aC.reduce((sum, value, c) => sum + value * (sumC[c] ?? 0), 0);
    total += Math.max(floor, inner / square);
    tasks += 1;
  }
  return tasks === 0 ? 0 : tasks / total;
}
