/**
 * The coefficients nearest to a merged tensor: lambda that minimise ||W - W0 - sum_t lambda_t tau_t||, and how much of the change no lambda
 * gives. For what is learned otherwise than as coefficients; of what is merged with coefficients they are these. K tasks, S elements.
 */
import { CholeskyDecomposition, Matrix } from "ml-matrix";

export interface NearestCoefficients {
  /** [K]; 0 for a task vector that is zero. */
  readonly coefficientsK: Float64Array;
  /** Share of ||W - W0|| outside the span of the task vectors, 0 to 1. */
  readonly outside: number;
}

/** Of the mean diagonal: task vectors that are alike share their part of the change. */
const RIDGE = 1e-9;

export function nearestCoefficients(
  baseS: Float32Array,
  taskVectorsKS: Float32Array,
  mergedS: Float32Array,
): NearestCoefficients {
  const size = baseS.length;
  const tasks = taskVectorsKS.length / size;
  const gram = Matrix.zeros(tasks, tasks);
  const products = Matrix.zeros(tasks, 1);
  let squares = 0;
  for (let s = 0; s < size; s++) {
    const change = (mergedS[s] ?? 0) - (baseS[s] ?? 0);
    squares += change * change;
  }
  for (let a = 0; a < tasks; a++) {
    for (let b = 0; b <= a; b++) {
      let sum = 0;
      for (let s = 0; s < size; s++) sum += (taskVectorsKS[a * size + s] ?? 0) * (taskVectorsKS[b * size + s] ?? 0);
      gram.set(a, b, sum);
      gram.set(b, a, sum);
    }
    let sum = 0;
    for (let s = 0; s < size; s++) sum += (taskVectorsKS[a * size + s] ?? 0) * ((mergedS[s] ?? 0) - (baseS[s] ?? 0));
    products.set(a, 0, sum);
  }
  const ridge = (RIDGE * gram.trace()) / tasks;
  if (ridge === 0) return { coefficientsK: new Float64Array(tasks), outside: squares > 0 ? 1 : 0 };
  for (let a = 0; a < tasks; a++) gram.set(a, a, gram.get(a, a) + ridge);
  const solved = new CholeskyDecomposition(gram).solve(products);
  const coefficientsK = Float64Array.from({ length: tasks }, (_, task) => solved.get(task, 0));
  let left = 0;
  for (let s = 0; s < size; s++) {
    let rest = (mergedS[s] ?? 0) - (baseS[s] ?? 0);
    for (let task = 0; task < tasks; task++) rest -= (coefficientsK[task] ?? 0) * (taskVectorsKS[task * size + s] ?? 0);
    left += rest * rest;
  }
  return { coefficientsK, outside: squares === 0 ? 0 : Math.min(1, Math.sqrt(left / squares)) };
}
