/**
 * LiNeS (Wang et al. 2024, arXiv:2410.17146): scale the merged task vector by depth, so that shallow layers, which carry what is general,
 * change less. Block l of L is scaled by alpha + beta l / (L - 1), everything else by alpha; of several stacks of blocks each by itself.
 * Source: wang-kee/LiNeS @43a7bdd, for models of one stack.
 */
import { z } from "zod";
import { blockPlace, lastBlocks } from "../depth.js";
import { addToBase, defineMethod, type MergeContext, piecesOf, remember } from "./method.js";
import { prepareTies } from "./ties.js";

export const lines = defineMethod({
  name: "lines",
  title: "LiNeS",
  paper: "https://arxiv.org/abs/2410.17146",
  parameters: z.strictObject({
    merge: z
      .enum(["sum", "ties"])
      .default("sum")
      .describe("What is scaled: the sum of task vectors, or TIES's sum at density 0.2"),
    alpha: z
      .number()
      .nullable()
      .default(null)
      .describe("Scale of the first block; null: the L1 norm of the sum over that of what is scaled, over the tasks"),
    beta: z.number().default(0.5).describe("Added by the last block"),
  }),
  unit: "element",
  weights: ({ tasks, tensors }, { merge, alpha, beta }) => {
    if (merge !== "sum") return undefined;
    // The norm of the sum over itself, over the tasks.
    const scaleOf = scales(tensors, alpha ?? 1 / tasks.length, beta);
    return (tensor) => tasks.map(() => scaleOf(tensor));
  },
  prepare: async (context, { merge, alpha, beta }) => {
    const change = await mergedChange(context, merge);
    const first = alpha ?? (await remember(context, "lines alpha", () => defaultAlpha(context, change), { merge }));
    const scaleOf = scales(
      context.source.tensors.map(({ name }) => name),
      first,
      beta,
    );
    return async (piece) => {
      const scale = scaleOf(piece.tensor.name);
      const changeN = await change(piece);
      return addToBase(piece, (element) => scale * (changeN[element] ?? 0));
    };
  },
});

/** By tensor. */
function scales(tensors: readonly string[], alpha: number, beta: number): (tensor: string) => number {
  const lastOf = lastBlocks(tensors);
  return (tensor) => {
    const place = blockPlace(tensor);
    const last = Math.max(1, lastOf.get(place?.stack ?? "") ?? 1);
    return place === undefined ? alpha : alpha + (beta * place.block) / last;
  };
}

type Change = (piece: Parameters<Awaited<ReturnType<typeof prepareTies>>>[0]) => Promise<Float64Array>;

/** The merged task vector of a piece, before scaling. */
async function mergedChange(context: MergeContext, merge: "sum" | "ties"): Promise<Change> {
  if (merge === "sum")
    return async ({ taskVectors, baseN }) =>
      Float64Array.from({ length: baseN.length }, (_, element) =>
        taskVectors.reduce((sum, tauN) => sum + (tauN[element] ?? 0), 0),
      );
  const ties = await prepareTies(context, { density: 0.2, aggregation: "sum", scale: 1 });
  // On a base of zeros the merged values are the task vector itself.
  return async (piece) => Float64Array.from(await ties({ ...piece, baseN: new Float32Array(piece.baseN.length) }));
}

async function defaultAlpha(context: MergeContext, change: Change): Promise<number> {
  let [sum, merged] = [0, 0];
  for await (const piece of piecesOf(context, "element")) {
    for (let element = 0; element < piece.baseN.length; element++)
      sum += Math.abs(piece.taskVectors.reduce((total, tauN) => total + (tauN[element] ?? 0), 0));
    for (const value of await change(piece)) merged += Math.abs(value);
  }
  return merged === 0 ? 0 : sum / merged / context.source.tasks.length;
}
