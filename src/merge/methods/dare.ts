/**
 * DARE (Yu et al. 2024, arXiv:2311.03099): drop elements of every task vector at random and rescale what stays by 1 / (1 - p), then sum or
 * merge with TIES. Source of the conventions: MergeLM @6d49ad9. Which elements are dropped is a pure function of
 * (seed, task, tensor, index), so pieces of any size give the same model.
 */
import { z } from "zod";
import { createRng } from "../../runtime/rng.js";
import { uniformAt } from "../random-element.js";
import { weightedSum } from "./linear.js";
import { defineMethod, type MergeContext, type Piece } from "./method.js";
import { prepareTies } from "./ties.js";

const dropRate = z.number().min(0).lt(1).default(0.5).describe("Probability that an element is dropped");
const scale = z.number().default(0.3).describe("Weight of the merged task vector");

/** Sets dropped elements to 0 and scales the others, in place. */
function drop(piece: Piece, { source, seed }: MergeContext, rate: number): void {
  for (const [task, tauN] of piece.taskVectors.entries()) {
    const key = createRng(seed, "dare", source.tasks[task] ?? task, piece.tensor.name).nextUint32();
    for (let i = 0; i < tauN.length; i++)
      tauN[i] = uniformAt(key, piece.from + i) < rate ? 0 : (tauN[i] ?? 0) / (1 - rate);
  }
}

/** The same context with task vectors dropped and rescaled as they are read. */
function dropped(context: MergeContext, rate: number): MergeContext {
  const { source } = context;
  return {
    ...context,
    source: {
      ...source,
      read: async (tensor, from, to) => {
        const piece = await source.read(tensor, from, to);
        drop(piece, context, rate);
        return piece;
      },
    },
  };
}

export const dareLinear = defineMethod({
  name: "dare_linear",
  title: "DARE with task arithmetic",
  paper: "https://arxiv.org/abs/2311.03099",
  parameters: z.strictObject({ drop_rate: dropRate, scale }),
  unit: "element",
  prepare: async (context, { drop_rate, scale }) => {
    const sum = weightedSum(context.source.tasks.map(() => scale));
    return (piece) => {
      drop(piece, context, drop_rate);
      return sum(piece);
    };
  },
});

export const dareTies = defineMethod({
  name: "dare_ties",
  title: "DARE with TIES-Merging",
  paper: "https://arxiv.org/abs/2311.03099",
  parameters: z.strictObject({
    drop_rate: dropRate,
    density: z.number().gt(0).max(1).default(0.2).describe("Share of what is left that TIES keeps, by magnitude"),
    aggregation: z.enum(["sum", "mean"]).default("sum").describe("Of the elements that agree: sum or mean"),
    scale,
  }),
  unit: "element",
  prepare: async (context, { drop_rate, density, aggregation, scale }) => {
    const merge = await prepareTies(dropped(context, drop_rate), { density, aggregation, scale });
    return (piece) => {
      drop(piece, context, drop_rate);
      return merge(piece);
    };
  },
});
