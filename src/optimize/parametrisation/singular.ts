/**
 * A real coefficient for each of the I leading singular directions of each task vector, and one for all its other directions:
 * W = W0 + sum_t ( c_t0 tau_t + sum_i (c_ti - c_t0) s_ti u_ti v_ti^T ), so dL/dc_ti = s_ti u_ti^T G v_ti and
 * dL/dc_t0 = <G, tau_t> - sum_i s_ti u_ti^T G v_ti. A vector has one coefficient per task.
 * Source: AdaRank (Lee et al. 2025), whose binary masks are real numbers here. K tasks, R rows, C columns, I directions.
 */
import { directionFloats, openDirections, workingFloats } from "./directions.js";
import {
  allInitial,
  isMatrix,
  matrixSize,
  type Parametrisation,
  type TensorForm,
  type TensorParts,
  type TensorSize,
  tasksOf,
} from "./parametrisation.js";
import { scalar } from "./scalar.js";

/** Of `rank` directions, or of all that a smaller matrix has. */
export function singular(rank: number): Parametrisation {
  const directions = (shape: readonly number[]): number => {
    const { rows, columns } = matrixSize(shape);
    return Math.min(rank, rows, columns);
  };
  return {
    size: (of: TensorSize) => (isMatrix(of.shape) ? of.tasks * (1 + directions(of.shape)) : scalar.size(of)),
    kept: ({ shape, tasks }) => (isMatrix(shape) ? directionFloats(shape, tasks, directions(shape)) : 0),
    working: ({ shape, tasks }) => (isMatrix(shape) ? workingFloats(shape, tasks, directions(shape)) : 0),
    form: (parts) => (isMatrix(parts.shape) ? matrixForm(parts, directions(parts.shape)) : scalar.form(parts)),
  };
}

/** The parameters of a task are c_0 and c_1 ... c_I. */
function matrixForm(opened: TensorParts, count: number): TensorForm {
  const [tasks, size, perTask] = [tasksOf(opened), opened.baseS.length, 1 + count];
  const directions = openDirections(opened, count);
  return {
    readsTaskVectors: true,
    start: allInitial,
    merge: ({ baseS, tauKS }, parameters, mergedS) => {
      const sums = Float64Array.from(baseS);
      const changes = new Float64Array(tasks * count);
      for (let task = 0; task < tasks; task++) {
        const rest = parameters[task * perTask] ?? 0;
        for (let s = 0; s < size; s++) sums[s] = (sums[s] ?? 0) + rest * (tauKS[task * size + s] ?? 0);
        for (let i = 0; i < count; i++) changes[task * count + i] = (parameters[task * perTask + 1 + i] ?? 0) - rest;
      }
      directions.add(changes, sums);
      mergedS.set(sums);
    },
    gradient: ({ tauKS }, _parameters, gradientS, into) => {
      const slopes = directions.slopes(gradientS);
      for (let task = 0; task < tasks; task++) {
        let rest = 0;
        for (let s = 0; s < size; s++) rest += (gradientS[s] ?? 0) * (tauKS[task * size + s] ?? 0);
        for (let i = 0; i < count; i++) {
          const slope = slopes[task * count + i] ?? 0;
          into[task * perTask + 1 + i] = slope;
          rest -= slope;
        }
        into[task * perTask] = rest;
      }
    },
  };
}
