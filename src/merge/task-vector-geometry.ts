/**
 * How long task vectors are and how they lie to each other, over all tensors of a bundle; sums in float64, one tensor in memory at a
 * time. Source: Ilharco et al. 2023 (arXiv:2212.04089), figure 5, cosines between task vectors. K tasks.
 */
import { type Bundle, readBase, readTaskVectors } from "../checkpoint/bundle.js";

export interface TaskVectorGeometry {
  readonly tasks: readonly string[];
  /** L2 norm of each task vector over that of the base, the tensors that have task vectors. */
  readonly normRatios: readonly number[];
  /** [K][K]; 0 where a task vector is zero everywhere. */
  readonly cosines: readonly (readonly number[])[];
}

/** Reads the bundle once. K (K + 1) / 2 products per element. */
export async function taskVectorGeometry(bundle: Bundle): Promise<TaskVectorGeometry> {
  const { tasks, tensors } = bundle;
  const dots = tasks.map(() => new Float64Array(tasks.length));
  let baseSquares = 0;
  for (const tensor of tensors) {
    if (tensor.taskVectors === undefined) continue;
    const base = await readBase(bundle, tensor);
    baseSquares += dot(base, base);
    const all = await readTaskVectors(bundle, tensor);
    const vectors = tasks.map((_, task) => all.subarray(task * base.length, (task + 1) * base.length));
    for (const [i, a] of vectors.entries())
      for (const [j, b] of vectors.entries()) {
        const row = dots[i];
        if (j <= i && row !== undefined) row[j] = (row[j] ?? 0) + dot(a, b);
      }
  }
  const product = (i: number, j: number): number => dots[Math.max(i, j)]?.[Math.min(i, j)] ?? 0;
  const norms = tasks.map((_, task) => Math.sqrt(product(task, task)));
  const cosine = (i: number, j: number): number => {
    const scale = (norms[i] ?? 0) * (norms[j] ?? 0);
    return scale === 0 ? 0 : product(i, j) / scale;
  };
  return {
    tasks,
    normRatios: norms.map((norm) => norm / Math.sqrt(baseSquares)),
    cosines: tasks.map((_, i) => tasks.map((__, j) => cosine(i, j))),
  };
}

function dot(a: Float32Array, b: Float32Array): number {
  let total = 0;
  for (let index = 0; index < a.length; index++) total += (a[index] ?? 0) * (b[index] ?? 0);
  return total;
}
