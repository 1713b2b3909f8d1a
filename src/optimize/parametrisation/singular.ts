/**
 * A real coefficient for each of the I leading singular directions of each task vector, and one for all its other directions:
 * W = W0 + sum_t ( c_t0 tau_t + sum_i (c_ti - c_t0) s_ti u_ti v_ti^T ), so dL/dc_ti = s_ti u_ti^T G v_ti and
 * dL/dc_t0 = <G, tau_t> - sum_i s_ti u_ti^T G v_ti. A vector has one coefficient per task.
 * Source: AdaRank (Lee et al. 2025), whose binary masks are real numbers here. K tasks, R rows, C columns, I directions.
 */
import { leadingTriples } from "../../merge/singular-triples.js";
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
    kept: ({ shape, tasks }) => {
      const { rows, columns } = matrixSize(shape);
      return isMatrix(shape) ? tasks * directions(shape) * (rows + columns) : 0;
    },
    form: (parts) => (isMatrix(parts.shape) ? matrixForm(parts, directions(parts.shape)) : scalar.form(parts)),
  };
}

/** The parameters of a task are c_0 and c_1 ... c_I. */
function matrixForm(parts: TensorParts, directions: number): TensorForm {
  const { rows: R, columns: C } = matrixSize(parts.shape);
  const size = R * C;
  const perTask = 1 + directions;
  const tasks = Array.from({ length: tasksOf(parts) }, (_, task) => {
    const { u, values, v } = leadingTriples(parts.tauKS.subarray(task * size, (task + 1) * size), C, directions);
    return { scaledIR: byDirection(u, R, values), vIC: byDirection(v, C) };
  });

  /** s_i u_i [I, R] and v_i [I, C]. */
  function byDirection(vectors: Float64Array, length: number, scales?: Float64Array): Float32Array {
    const found = new Float32Array(directions * length);
    for (let i = 0; i < directions; i++)
      for (let at = 0; at < length; at++)
        found[i * length + at] = (vectors[at * directions + i] ?? 0) * (scales?.[i] ?? 1);
    return found;
  }

  return {
    readsTaskVectors: true,
    start: allInitial,
    merge: ({ baseS, tauKS }, parameters, mergedS) => {
      const sums = Float64Array.from(baseS);
      for (const [task, { scaledIR, vIC }] of tasks.entries()) {
        const rest = parameters[task * perTask] ?? 0;
        for (let s = 0; s < size; s++) sums[s] = (sums[s] ?? 0) + rest * (tauKS[task * size + s] ?? 0);
        for (let i = 0; i < directions; i++) {
          const change = (parameters[task * perTask + 1 + i] ?? 0) - rest;
          if (change === 0) continue;
          for (let row = 0; row < R; row++) {
            const factor = change * (scaledIR[i * R + row] ?? 0);
            for (let column = 0; column < C; column++)
              sums[row * C + column] = (sums[row * C + column] ?? 0) + factor * (vIC[i * C + column] ?? 0);
          }
        }
      }
      mergedS.set(sums);
    },
    gradient: ({ tauKS }, _parameters, gradientS, into) => {
      for (const [task, { scaledIR, vIC }] of tasks.entries()) {
        let rest = 0;
        for (let s = 0; s < size; s++) rest += (gradientS[s] ?? 0) * (tauKS[task * size + s] ?? 0);
        for (let i = 0; i < directions; i++) {
          let slope = 0;
          for (let row = 0; row < R; row++) {
            let sum = 0;
            for (let column = 0; column < C; column++)
              sum += (gradientS[row * C + column] ?? 0) * (vIC[i * C + column] ?? 0);
            slope += (scaledIR[i * R + row] ?? 0) * sum;
          }
          into[task * perTask + 1 + i] = slope;
          rest -= slope;
        }
        into[task * perTask] = rest;
      }
    },
  };
}
