/**
 * Coefficients as plain float64 arrays, outside the graph: raw parameters [K, L] (what the optimiser moves), the
 * constrained values used for merging, and the way between groups and tensors. K tasks, L groups, N tensors.
 * Source: official AdaMerging clamps to [0, 1] in the forward pass; FusionBench offers none or softmax over models.
 */
import type { Grouping } from "./groups.js";

export type Constraint =
  | { readonly kind: "clamp"; readonly min: number; readonly max: number }
  | { readonly kind: "softmax" }
  | { readonly kind: "none" };

/** Row-major [K, L]. */
export type CoefficientMatrix = Float64Array;

/** The rows of a matrix [K, L], one array per task. */
export function rowsOf(valuesKL: CoefficientMatrix, tasks: number): number[][] {
  const groups = valuesKL.length / tasks;
  return Array.from({ length: tasks }, (_, task) => [...valuesKL.subarray(task * groups, (task + 1) * groups)]);
}

/** The values that merge the weights, from raw parameters [K, L]. Softmax runs over the tasks of each group. */
export function constrain(rawKL: CoefficientMatrix, tasks: number, constraint: Constraint): CoefficientMatrix {
  switch (constraint.kind) {
    case "none":
      return Float64Array.from(rawKL);
    case "clamp":
      return rawKL.map((value) => Math.min(Math.max(value, constraint.min), constraint.max));
    case "softmax":
      return softmaxOverTasks(rawKL, tasks);
    default:
      return constraint satisfies never;
  }
}

function softmaxOverTasks(rawKL: CoefficientMatrix, tasks: number): CoefficientMatrix {
  const groups = rawKL.length / tasks;
  const values = new Float64Array(rawKL.length);
  for (let group = 0; group < groups; group++) {
    let largest = Number.NEGATIVE_INFINITY;
    for (let task = 0; task < tasks; task++) largest = Math.max(largest, rawKL[task * groups + group] ?? 0);
    let total = 0;
    for (let task = 0; task < tasks; task++) {
      const weight = Math.exp((rawKL[task * groups + group] ?? 0) - largest);
      values[task * groups + group] = weight;
      total += weight;
    }
    for (let task = 0; task < tasks; task++)
      values[task * groups + group] = (values[task * groups + group] ?? 0) / total;
  }
  return values;
}

/**
 * Gradient of the raw parameters from that of the values. As torch.clamp, clamp lets the gradient pass on the closed
 * interval and is 0 outside it.
 */
export function constraintGradient(
  rawKL: CoefficientMatrix,
  valuesKL: CoefficientMatrix,
  gradientKL: CoefficientMatrix,
  tasks: number,
  constraint: Constraint,
): CoefficientMatrix {
  switch (constraint.kind) {
    case "none":
      return Float64Array.from(gradientKL);
    case "clamp":
      return gradientKL.map((value, index) => {
        const raw = rawKL[index] ?? 0;
        return raw >= constraint.min && raw <= constraint.max ? value : 0;
      });
    case "softmax": {
      const groups = rawKL.length / tasks;
      return gradientKL.map((value, index) => {
        let mean = 0;
        for (let task = 0; task < tasks; task++) {
          const other = task * groups + (index % groups);
          mean += (valuesKL[other] ?? 0) * (gradientKL[other] ?? 0);
        }
        return (valuesKL[index] ?? 0) * (value - mean);
      });
    }
    default:
      return constraint satisfies never;
  }
}

/** One float32 coefficient per tensor and task, [N, K], as the compiled step takes them. */
export function toTensorCoefficients(valuesKL: CoefficientMatrix, grouping: Grouping, tasks: number): Float32Array {
  const groups = grouping.groups.length;
  const perTensorNK = new Float32Array(grouping.groupOf.length * tasks);
  grouping.groupOf.forEach((group, tensor) => {
    for (let task = 0; task < tasks; task++) perTensorNK[tensor * tasks + task] = valuesKL[task * groups + group] ?? 0;
  });
  return perTensorNK;
}

/** Sums a gradient per tensor [N, K] over each group's tensors, in float64: [K, L]. */
export function toGroupGradient(perTensorNK: ArrayLike<number>, grouping: Grouping, tasks: number): CoefficientMatrix {
  const groups = grouping.groups.length;
  const gradientKL = new Float64Array(tasks * groups);
  grouping.groupOf.forEach((group, tensor) => {
    for (let task = 0; task < tasks; task++) {
      const index = task * groups + group;
      gradientKL[index] = (gradientKL[index] ?? 0) + (perTensorNK[tensor * tasks + task] ?? 0);
    }
  });
  return gradientKL;
}

/** The same coefficients for every group: [K, L] from one value per task. */
export function uniformCoefficients(perTask: readonly number[], groups: number): CoefficientMatrix {
  return Float64Array.from({ length: perTask.length * groups }, (_, index) => perTask[Math.floor(index / groups)] ?? 0);
}
