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
import { mergeTaskVectors, scalar, taskVectorSlopes } from "./scalar.js";

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
    merge: (parts, parameters, mergedS) => {
      const restK = Float64Array.from({ length: tasks }, (_, task) => parameters[task * perTask] ?? 0);
      const sums = new Float64Array(size);
      mergeTaskVectors(parts, restK, sums);
      const changes = new Float64Array(tasks * count);
      for (const [task, rest] of restK.entries())
        for (let i = 0; i < count; i++) changes[task * count + i] = (parameters[task * perTask + 1 + i] ?? 0) - rest;
      directions.add(changes, sums);
      mergedS.set(sums);
    },
    gradient: (parts, _parameters, gradientS, into) => {
      const slopes = directions.slopes(gradientS);
      const restK = new Float64Array(tasks);
      taskVectorSlopes(parts, gradientS, restK);
      for (let task = 0; task < tasks; task++) {
        let rest = restK[task] ?? 0;
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
