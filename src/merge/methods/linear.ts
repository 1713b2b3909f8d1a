/**
 * Sums of task vectors with fixed weights: weight averaging (Wortsman et al. 2022, arXiv:2203.05482), task arithmetic (Ilharco et al. 2023,
 * arXiv:2212.04089) and a weight per task. theta = theta0 + sum_t w_t tau_t. K tasks, N elements of a piece.
 */
import { z } from "zod";
import { ConfigError } from "../../errors.js";
import { addToBase, defineMethod, type MergeMethod, type MergePiece } from "./method.js";

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

type Model = Parameters<NonNullable<MergeMethod["weights"]>>[0];

/** A method that gives all tensors the same weights. */
function defineWeighted<Settings extends z.ZodObject>({
  weightsK,
  ...spec
}: Pick<MergeMethod, "name" | "title" | "paper"> & {
  readonly parameters: Settings;
  readonly weightsK: (model: Pick<Model, "tasks">, parameters: z.output<Settings>) => readonly number[];
}): MergeMethod {
  return defineMethod({
    ...spec,
    unit: "element",
    weights: (model, parameters) => {
      const own = weightsK(model, parameters);
      return () => own;
    },
    prepare: async ({ source }, parameters) => weightedSum(weightsK(source, parameters)),
  });
}

export const weightAveraging = defineWeighted({
  name: "weight_averaging",
  title: "Weight averaging",
  paper: "https://arxiv.org/abs/2203.05482",
  parameters: z.strictObject({}),
  weightsK: ({ tasks }) => tasks.map(() => 1 / tasks.length),
});

export const taskArithmetic = defineWeighted({
  name: "task_arithmetic",
  title: "Task arithmetic",
  paper: "https://arxiv.org/abs/2212.04089",
  parameters: z.strictObject({
    scale: z.number().default(0.3).describe("Weight of every task vector; the papers' for eight image tasks is 0.3"),
  }),
  weightsK: ({ tasks }, { scale }) => tasks.map(() => scale),
});

export const linear = defineWeighted({
  name: "linear",
  title: "Weighted sum of task vectors",
  paper: "https://arxiv.org/abs/2203.05482",
  parameters: z.strictObject({
    weights: z.array(z.number()).min(1).describe("One weight per task, in the order of the tasks"),
    normalize: z.boolean().default(false).describe("Divide the weights by their sum"),
  }),
  weightsK: ({ tasks }, { weights, normalize }) => {
    if (weights.length !== tasks.length)
      throw new ConfigError(
        `weights: expected ${tasks.length} numbers (one for each of ${tasks.join(", ")}), found ${weights.length}`,
      );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    if (normalize && sum === 0)
      throw new ConfigError(`weights: expected a sum other than 0 to normalize by, found ${weights.join(", ")}`);
    return weights.map((weight) => (normalize ? weight / sum : weight));
  },
});
