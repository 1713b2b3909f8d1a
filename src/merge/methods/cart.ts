/**
 * CART (Choi et al. 2024, arXiv:2412.12153): task vectors are taken from the mean of the experts, not from the base, and of each matrix only the leading
 * singular directions are kept: theta = mean + scale * sum_t SVD_r(theta_t - mean), r = ratio * min(R, C). Other tensors are averaged.
 */
import { z } from "zod";
import { timesTransposed } from "../orthogonal-task-vectors.js";
import { leadingTriples } from "../singular-triples.js";
import { addToBase, defineMethod } from "./method.js";

export const cart = defineMethod({
  name: "cart",
  title: "CART",
  paper: "https://arxiv.org/abs/2412.12153",
  parameters: z.strictObject({
    ratio: z
      .number()
      .gt(0)
      .max(1)
      .default(0.08)
      .describe("Share of a matrix's singular directions that each task keeps"),
    scale: z.number().default(1).describe("Weight of the sum of the truncated task vectors"),
  }),
  unit: "tensor",
  prepare:
    async (_context, { ratio, scale }) =>
    (piece) => {
      const { taskVectors, tensor } = piece;
      const mean = meanOf(taskVectors);
      if (tensor.shape.length !== 2) return addToBase(piece, (element) => mean[element] ?? 0);
      const change = truncatedSum(taskVectors, mean, tensor.shape[1] ?? 1, ratio);
      return addToBase(piece, (element) => (mean[element] ?? 0) + scale * (change[element] ?? 0));
    },
});

/** sum_t SVD_r(tau_t - mean), [R, C]. */
function truncatedSum(
  taskVectors: readonly Float32Array[],
  mean: Float64Array,
  columns: number,
  ratio: number,
): Float64Array {
  const rank = Math.max(1, Math.floor(ratio * Math.min(columns, mean.length / columns)));
  const sum = new Float64Array(mean.length);
  for (const tau of taskVectors) {
    const centred = mean.map((value, index) => (tau[index] ?? 0) - value);
    const { u, values, v } = leadingTriples(centred, columns, rank);
    const scaled = u.map((value, index) => value * (values[index % rank] ?? 0));
    const part = timesTransposed(scaled, v, rank, mean.length, columns);
    for (let index = 0; index < sum.length; index++) sum[index] = (sum[index] ?? 0) + (part[index] ?? 0);
  }
  return sum;
}

function meanOf(taskVectors: readonly Float32Array[]): Float64Array {
  return Float64Array.from({ length: taskVectors[0]?.length ?? 0 }, (_, element) =>
    taskVectors.reduce((sum, tau) => sum + (tau[element] ?? 0) / taskVectors.length, 0),
  );
}
