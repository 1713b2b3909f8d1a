/**
 * CART (Choi et al. 2024, arXiv:2412.12153): task vectors are taken from the mean of the experts, not from the base, and
 * of each matrix only the leading singular directions are kept: theta = mean + scale * sum_t SVD_r(theta_t - mean),
 * r = floor(ratio * min(R, C)), one at least. Other tensors are averaged: their differences from the mean, of which
 * nothing is cut, add up to 0 whatever the scale.
 *
 * The paper keeps 8 % of the directions and tunes the scale on labels, mostly between 1 and 2.8. AdaRank (ICLR 2026)
 * starts from scales of 2.3, 2.8 and 2.4 with ratios of 0.16, 0.32 and 0.32 for 8, 14 and 20 tasks. The defaults are the
 * paper's ratio, and a scale of 1, which needs no labels.
 */
import { z } from "zod";
import { truncatedTaskVector } from "../truncated-task-vectors.js";
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
      .describe(
        "Share of a matrix's singular directions that each task keeps; AdaRank's: 0.16 (8 tasks), 0.32 (14, 20)",
      ),
    scale: z
      .number()
      .default(1)
      .describe(
        "Weight of the sum of the truncated task vectors; tuned, it is 1 to 2.8; AdaRank's: 2.3 (8 tasks), 2.8 (14), 2.4 (20)",
      ),
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
  const sum = new Float64Array(mean.length);
  for (const tau of taskVectors) {
    const centred = mean.map((value, index) => (tau[index] ?? 0) - value);
    const part = truncatedTaskVector(centred, columns, ratio);
    for (let index = 0; index < sum.length; index++) sum[index] = (sum[index] ?? 0) + (part[index] ?? 0);
  }
  return sum;
}

function meanOf(taskVectors: readonly Float32Array[]): Float64Array {
  return Float64Array.from({ length: taskVectors[0]?.length ?? 0 }, (_, element) =>
    taskVectors.reduce((sum, tau) => sum + (tau[element] ?? 0) / taskVectors.length, 0),
  );
}
