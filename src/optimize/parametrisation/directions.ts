/**
 * The leading singular directions of all task vectors of a matrix, side by side: sums of them under any weights, and the slopes of these
 * weights, both as products by our kernels. What parametrisations of single directions share. K tasks, I directions of each, J = K I, R rows,
 * C columns.
 */
import { productsWith } from "../../merge/kernels/products.js";
import { leadingTriples } from "../../merge/singular-triples.js";
import { matrixSize, type TensorParts, tasksOf } from "./parametrisation.js";

export interface Directions {
  /** sums [R, C] += sum_j weights_j s_j u_j v_j^T. Directions of weight 0 cost nothing. */
  add(weightsJ: ArrayLike<number>, sumsRC: Float64Array): void;
  /** s_j u_j^T G v_j, [J]: the slopes of the weights, from G = dL/dW [R, C]. */
  slopes(gradientRC: Float32Array): Float64Array;
}

/** `count` of each task vector, at most min(R, C). */
export function openDirections(parts: TensorParts, count: number): Directions {
  const { rows: R, columns: C } = matrixSize(parts.shape);
  const J = tasksOf(parts) * count;
  const [scaledJR, vJC] = [new Float32Array(J * R), new Float32Array(J * C)];
  for (let first = 0, from = 0; first < J; first += count, from += R * C) {
    const { u, values, v } = leadingTriples(parts.tauKS.subarray(from, from + R * C), C, count);
    for (let i = 0; i < count; i++) {
      const scale = values[i] ?? 0;
      for (let row = 0; row < R; row++) scaledJR[(first + i) * R + row] = scale * (u[row * count + i] ?? 0);
      for (let column = 0; column < C; column++) vJC[(first + i) * C + column] = v[column * count + i] ?? 0;
    }
  }
  return {
    add: (weightsJ, sumsRC) => {
      const used: number[] = [];
      for (let j = 0; j < J; j++) if (weightsJ[j] !== 0) used.push(j);
      if (used.length === 0) return;
      const [left, right] = [new Float32Array(R * used.length), new Float32Array(used.length * C)];
      for (const [at, j] of used.entries()) {
        const weight = weightsJ[j] ?? 0;
        for (let row = 0; row < R; row++) left[row * used.length + at] = weight * (scaledJR[j * R + row] ?? 0);
        right.set(vJC.subarray(j * C, (j + 1) * C), at * C);
      }
      productsWith(right, R, C, "float32")(left, sumsRC);
    },
    slopes: (gradientRC) => {
      // [J, C]: u^T G of all directions at once, each of which then meets its own v.
      const images = new Float64Array(J * C);
      productsWith(gradientRC, J, C, "float32")(scaledJR, images);
      const slopes = new Float64Array(J);
      for (let j = 0; j < J; j++) {
        let sum = 0;
        for (let at = j * C; at < (j + 1) * C; at++) sum += (images[at] ?? 0) * (vJC[at] ?? 0);
        slopes[j] = sum;
      }
      return slopes;
    },
  };
}

/** Floats that directions take in memory. */
export function directionFloats(shape: readonly number[], tasks: number, count: number): number {
  const { rows, columns } = matrixSize(shape);
  return tasks * count * (rows + columns);
}

/** Floats that `add` and `slopes` compute with: the factors, laid out twice, and float64 sums with their product. */
export function workingFloats(shape: readonly number[], tasks: number, count: number): number {
  const { rows, columns } = matrixSize(shape);
  return 2 * directionFloats(shape, tasks, count) + 4 * rows * columns;
}
