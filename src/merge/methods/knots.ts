/**
 * KnOTS with TIES (Stoica et al. 2025, arXiv:2410.19735), for LoRA experts: task vectors are brought into one basis for
 * each matrix (aligned-task-vectors.ts), trimmed and merged there by TIES, and brought back. K tasks.
 */
import { z } from "zod";
import { alignedTaskVectors, elected, knotsElection } from "../aligned-task-vectors.js";
import { addToBase, defineMethod, type MergeContext, piecesOf, remember } from "./method.js";

export const knots = defineMethod({
  name: "knots",
  title: "KnOTS with TIES",
  paper: "https://arxiv.org/abs/2410.19735",
  parameters: z.strictObject({
    density: z
      .number()
      .gt(0)
      .max(1)
      .default(0.2)
      .describe("Share of each task's elements that is kept in the common basis, by magnitude"),
    aggregation: z.enum(["sum", "mean"]).default("mean").describe("Of the elements that agree with the elected sign"),
    scale: z
      .number()
      .default(0.6)
      .describe("Weight of the merged task vector; the code's for eight image tasks is 0.6"),
  }),
  unit: "tensor",
  prepare: async (context, { density, aggregation, scale }) => {
    const find = () => knotsElection(() => aligned(context), density);
    const found = await remember(context, "knots", find, { density });
    return (piece) => {
      const { alignedKDC, restore } = alignedTaskVectors(piece.taskVectors, piece.tensor.shape);
      const counts = elected(alignedKDC, found);
      const merged = Float64Array.from(counts, (count, index) => {
        const sum = alignedKDC.reduce((total, own) => total + (own[index] ?? 0), 0);
        return aggregation === "mean" ? sum / Math.max(1, count) : sum;
      });
      const change = restore(merged);
      return addToBase(piece, (element) => scale * (change[element] ?? 0));
    };
  },
});

async function* aligned(context: MergeContext) {
  for await (const { taskVectors, tensor } of piecesOf(context, "tensor"))
    yield { taskVectors: alignedTaskVectors(taskVectors, tensor.shape).alignedKDC };
}
