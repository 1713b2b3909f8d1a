/**
 * Sums of task vectors with fixed weights: weight averaging (Wortsman et al. 2022, arXiv:2203.05482), task arithmetic (Ilharco et al. 2023,
 * arXiv:2212.04089) and a weight per task. theta = theta0 + sum_t w_t tau_t. K tasks, N elements of a piece.
 */
import { z } from "zod";
import { ConfigError } from "../../errors.js";
import { addToBase, defineMethod, type MergePiece } from "./method.js";

/** theta0 + sum over tasks of weight * tau. */
export function weightedSum(weightsK: readonly number[]): MergePiece {
  return (piece) =>
    addToBase(piece, (element) => {
      let sum = 0;
      for (let task = 0; task < weightsK.length; task++)
        sum += (weightsK[task] ?? 0) * (piece.taskVectors[task]?.[element] ?? 0);
      return sum;
    });
}

export const weightAveraging = defineMethod({
  name: "weight_averaging",
  title: "Weight averaging",
  paper: "https://arxiv.org/abs/2203.05482",
  parameters: z.strictObject({}),
  unit: "element",
  prepare: async ({ source }) => weightedSum(source.tasks.map(() => 1 / source.tasks.length)),
});

export const taskArithmetic = defineMethod({
  name: "task_arithmetic",
  title: "Task arithmetic",
  paper: "https://arxiv.org/abs/2212.04089",
  parameters: z.strictObject({
    scale: z.number().default(0.3).describe("Weight of every task vector; the papers' for eight image tasks is 0.3"),
  }),
  unit: "element",
  prepare: async ({ source }, { scale }) => weightedSum(source.tasks.map(() => scale)),
});

export const linear = defineMethod({
  name: "linear",
  title: "Weighted sum of task vectors",
  paper: "https://arxiv.org/abs/2203.05482",
  parameters: z.strictObject({
    weights: z.array(z.number()).min(1).describe("One weight per task, in the order of the tasks"),
    normalize: z.boolean().default(false).describe("Divide the weights by their sum"),
  }),
  unit: "element",
  prepare: async ({ source }, { weights, normalize }) => {
    if (weights.length !== source.tasks.length)
      throw new ConfigError(
        `weights: expected ${source.tasks.length} numbers (one for each of ${source.tasks.join(", ")}), found ${weights.length}`,
      );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    if (normalize && sum === 0)
      throw new ConfigError(`weights: expected a sum other than 0 to normalize by, found ${weights.join(", ")}`);
    return weightedSum(weights.map((weight) => (normalize ? weight / sum : weight)));
  },
});
