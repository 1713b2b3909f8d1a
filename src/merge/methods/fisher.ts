/**
 * Fisher merging (Matena and Raffel 2022, arXiv:2111.09832): the mean of the experts, each element weighted by how much its expert's predictions hang on it. The
 * diagonal Fisher information is exact over the classes, as in the authors' code (mmatena/model_merging), and each expert's is divided by its
 * L2 norm; with FusionBench, 256 images and a floor of 1e-6.
 */
import { z } from "zod";
import { expertOf, expertWeights, requireProbe } from "./expert-weights.js";
import { defineMethod, remember } from "./method.js";

export const fisher = defineMethod({
  name: "fisher",
  title: "Fisher merging",
  paper: "https://arxiv.org/abs/2111.09832",
  parameters: z.strictObject({
    examples: z.int().min(1).default(256).describe("Unlabelled examples of each task"),
    floor: z.number().gt(0).default(1e-6).describe("Least weight of an element, so that nothing is divided by 0"),
    coverage: z
      .number()
      .gt(0)
      .max(1)
      .default(0.999)
      .describe("Share of the sum over classes of p (1 - p) that is computed, likely classes first; 1: all of them"),
  }),
  unit: "element",
  needsImages: true,
  prepare: async (context, { examples, floor, coverage }) => {
    const probe = requireProbe(context, "fisher");
    const find = async () => {
      const found: ReadonlyMap<string, Float64Array>[] = [];
      for (const task of context.source.tasks.keys()) {
        const own = await probe.fisher(task, await expertWeights(context, task), examples, coverage);
        found.push(normalized(context.source.tensors.map(({ name }) => [name, own.get(name)])));
      }
      return found;
    };
    const weights = await remember(context, "fisher", find, { examples, coverage });
    return (piece) => {
      const ownN = weights.map((byName) => byName.get(piece.tensor.name)?.subarray(piece.from));
      const experts = weights.map((_, task) => expertOf(piece, task));
      return piece.baseN.map((_, element) => {
        let [sum, total] = [0, 0];
        for (const [task, expertN] of experts.entries()) {
          const weight = Math.max(floor, ownN[task]?.[element] ?? 0);
          sum += weight * (expertN[element] ?? 0);
          total += weight;
        }
        return sum / total;
      });
    };
  },
});

/** Divided by the L2 norm over the whole model. */
function normalized(
  tensors: readonly (readonly [string, Float64Array | undefined])[],
): ReadonlyMap<string, Float64Array> {
  let squares = 0;
  for (const [, values] of tensors) for (const value of values ?? []) squares += value * value;
  const norm = Math.sqrt(squares) || 1;
  return new Map(tensors.map(([name, values]) => [name, (values ?? new Float64Array()).map((value) => value / norm)]));
}
