/**
 * Model Breadcrumbs (Davari and Belilovsky 2023, arXiv:2312.06795): of every tensor of every task vector, drop the largest magnitudes
 * (outliers) and the smallest (noise), then sum. Conventions of mergekit's `breadcrumbs`: `gamma` is the share dropped
 * at the top, `density` the share kept below it. N elements of one tensor.
 */
import { z } from "zod";
import { keepBetween, magnitudesOfRanks } from "../magnitudes.js";
import { weightedSum } from "./linear.js";
import { defineMethod } from "./method.js";

export const breadcrumbs = defineMethod({
  name: "breadcrumbs",
  title: "Model Breadcrumbs",
  paper: "https://arxiv.org/abs/2312.06795",
  parameters: z.strictObject({
    density: z.number().gt(0).max(1).default(0.9).describe("Share of each tensor that is kept"),
    gamma: z.number().min(0).lt(1).default(0.01).describe("Share dropped at the top, by magnitude"),
    scale: z.number().default(0.3).describe("Weight of every task vector"),
  }),
  unit: "tensor",
  prepare: async ({ source }, { density, gamma, scale }) => {
    const sum = weightedSum(source.tasks.map(() => scale));
    return (piece) => {
      for (const tauN of piece.taskVectors) keepMiddle(tauN, density, gamma);
      return sum(piece);
    };
  },
});

/**
 * Drops the ends of the magnitudes in place. Where both shares leave less than `density`, fewer outliers are dropped. Of equal magnitudes at a
 * border the earlier ones count as the smaller.
 */
function keepMiddle(tauN: Float32Array, density: number, gamma: number): void {
  if (density >= 1) return;
  const size = tauN.length;
  const kept = Math.floor(density * size);
  const outliers = Math.min(Math.floor(gamma * size), size - kept);
  const [largestNoise, smallestOutlier] = magnitudesOfRanks(tauN, size - outliers - kept, size - outliers + 1);
  keepBetween(tauN, largestNoise, smallestOutlier);
}
