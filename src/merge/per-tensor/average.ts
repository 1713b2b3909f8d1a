/**
 * Weighted averages of models, by mergekit's definitions of `linear` (Wortsman et al. 2022, arXiv:2203.05482) and `slerp` (spherical
 * interpolation of two models, Shoemake 1985). M models, N elements of a piece.
 */
import { z } from "zod";
import { ConfigError } from "../../errors.js";
import type { WeightedSum } from "../kernels/kernels.js";
import { defineTensorMethod, type TensorToMerge } from "./tensor-method.js";

export const linear = defineTensorMethod({
  name: "linear",
  title: "Weighted average",
  paper: "https://arxiv.org/abs/2203.05482",
  inputs: "models",
  base: "unused",
  perModel: z.strictObject({ weight: z.number().describe("Share of the model") }),
  shared: z.strictObject({ normalize: z.boolean().default(true).describe("Divide by the sum of the weights") }),
  weights: (tensor, perModelM, shared) => ({ base: 0, modelsM: averageWeights(tensor, perModelM, shared) }),
  prepare: (tensor, perModelM, shared) => {
    const sum = tensor.kernels.weightedSum(averageWeights(tensor, perModelM, shared));
    return ({ modelsMN }) => overFirst(sum, modelsMN);
  },
});

function averageWeights(
  { name }: { readonly name: string },
  perModelM: readonly { readonly weight: number }[],
  { normalize }: { readonly normalize: boolean },
): number[] {
  const total = perModelM.reduce((sum, { weight }) => sum + weight, 0);
  if (normalize && total === 0)
    throw new ConfigError(`tensor ${name}: expected weights with a sum other than 0 to normalize by, found 0`);
  return perModelM.map(({ weight }) => (normalize ? weight / total : weight));
}

/** The sum in the place of the first model. */
function overFirst(sum: WeightedSum, modelsMN: readonly Float32Array[]): Float32Array {
  const [mergedN = new Float32Array()] = modelsMN;
  sum(modelsMN, mergedN);
  return mergedN;
}

/** Directions that are nearer than this (as a cosine) are interpolated on the straight line. Source: mergekit's slerp. */
const PARALLEL = 0.9995;

export const slerp = defineTensorMethod({
  name: "slerp",
  title: "Spherical interpolation",
  paper: "https://doi.org/10.1145/325334.325242",
  inputs: "models",
  base: "required",
  count: 1,
  perModel: z.strictObject({}),
  shared: z.strictObject({ t: z.number().describe("0 is the base, 1 the other model") }),
  prepare: (tensor, _perModel, { t }) => {
    const sum = tensor.kernels.weightedSum(slerpWeights(tensor, t));
    return ({ baseN = new Float32Array(), modelsMN }) => overFirst(sum, [baseN, ...modelsMN]);
  },
});

/** What the two tensors are multiplied with: their own lengths are kept, the angle is that between their directions. */
function slerpWeights({ kernels, stream }: TensorToMerge, t: number): readonly [number, number] {
  let [dot, base, other] = [0, 0, 0];
  for (const { baseN = new Float32Array(), modelsMN } of stream()) {
    const otherN = modelsMN[0] ?? new Float32Array();
    dot += kernels.dotProduct(baseN, otherN);
    base += kernels.dotProduct(baseN, baseN);
    other += kernels.dotProduct(otherN, otherN);
  }
  // A tensor of nothing has no direction, and its length is taken as 1. Source: mergekit.
  const length = (squares: number): number => (Math.sqrt(squares) > 1e-8 ? Math.sqrt(squares) : 1);
  const cosine = dot / (length(base) * length(other));
  if (Math.abs(cosine) > PARALLEL) return [1 - t, t];
  const angle = Math.acos(cosine);
  return [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
}
