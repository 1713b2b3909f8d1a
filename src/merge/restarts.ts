/**
 * Restarting from the merged model, as FW-Merging's soft variant does (Chen et al. 2025, arXiv:2503.12649): after so many steps the merged model becomes the
 * base, the task vectors become the experts' differences from it, and learning begins again near 0. All in coefficients of the first task vectors, so that no
 * model is made: with start s and change c, theta_s + sum_k c_k (theta_k - theta_s) = theta_0 + sum_k (s_k (1 - sum_j c_j) + c_k) tau_k.
 * Source: fusion_bench fw_merging/fw_soft.py @54c9e8c. There an experts' choice by gradients comes before each restart; with as many tasks as experts, and none
 * chosen twice, it chooses all of them, so it is left out here. K tasks, L groups.
 */
import type { CoefficientMatrix } from "./coefficients.js";

/** What every change starts from after a restart (ada_coeff of the official config). */
export const RESTARTED_CHANGE = 1e-8;

/** The coefficients [K, L] that a change [K, L] from the start gives; the change itself where nothing was restarted. */
export function fromStart(
  changeKL: CoefficientMatrix,
  startKL: CoefficientMatrix | undefined,
  tasks: number,
): CoefficientMatrix {
  if (startKL === undefined) return changeKL;
  const sumL = overTasks(tasks, changeKL.length / tasks, (index) => changeKL[index] ?? 0);
  return changeKL.map((change, index) => (startKL[index] ?? 0) * (1 - (sumL[index % sumL.length] ?? 0)) + change);
}

/** The gradient of the change [K, L] from that of the coefficients. */
export function gradientOfChange(
  gradientKL: CoefficientMatrix,
  startKL: CoefficientMatrix | undefined,
  tasks: number,
): CoefficientMatrix {
  if (startKL === undefined) return gradientKL;
  const sumL = overTasks(tasks, gradientKL.length / tasks, (index) => (startKL[index] ?? 0) * (gradientKL[index] ?? 0));
  return gradientKL.map((gradient, index) => gradient - (sumL[index % sumL.length] ?? 0));
}

/** Sums over the tasks of each group, [L]. */
function overTasks(tasks: number, groups: number, valueAt: (index: number) => number): Float64Array {
  return Float64Array.from({ length: groups }, (_, group) => {
    let sum = 0;
    for (let task = 0; task < tasks; task++) sum += valueAt(task * groups + group);
    return sum;
  });
}
