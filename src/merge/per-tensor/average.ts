/**
 * Weighted averages of models, by mergekit's definitions of `linear` (Wortsman et al. 2022, arXiv:2203.05482) and `slerp` (spherical
 * interpolation of two models, Shoemake 1985). M models, N elements of a piece.
 */
import { z } from "zod";
import { ConfigError } from "../../errors.js";
import { defineTensorMethod, type TensorToMerge } from "./tensor-method.js";

export const linear = defineTensorMethod({
  name: "linear",
  title: "Weighted average",
  paper: "https://arxiv.org/abs/2203.05482",
  inputs: "models",
  base: "unused",
  perModel: z.strictObject({ weight: z.number().describe("Share of the model") }),
  shared: z.strictObject({ normalize: z.boolean().default(true).describe("Divide by the sum of the weights") }),
  prepare: ({ name }, perModelM, { normalize }) => {
    const total = perModelM.reduce((sum, { weight }) => sum + weight, 0);
    if (normalize && total === 0)
      throw new ConfigError(`tensor ${name}: expected weights with a sum other than 0 to normalize by, found 0`);
    const weightsM = perModelM.map(({ weight }) => (normalize ? weight / total : weight));
    return ({ modelsMN }) => weightedSum(modelsMN, weightsM);
  },
});

/** sum of weight * values over models, [N], in float64 and rounded once. */
export function weightedSum(modelsMN: readonly Float32Array[], weightsM: readonly number[]): Float32Array {
  const [first = new Float32Array(), second] = modelsMN;
  const [w0 = 0, w1 = 0] = weightsM;
  const merged = new Float32Array(first.length);
  if (second !== undefined && modelsMN.length === 2) {
    for (let i = 0; i < merged.length; i++) merged[i] = w0 * (first[i] ?? 0) + w1 * (second[i] ?? 0);
    return merged;
  }
  const sum = addWeighted(new Float64Array(first.length), modelsMN, weightsM);
  merged.set(sum);
  return merged;
}

/** Adds weight * values over models to `sum` [N]. */
export function addWeighted(
  sum: Float64Array,
  modelsMN: readonly Float32Array[],
  weightsM: readonly number[],
): Float64Array {
  for (const [model, values] of modelsMN.entries()) {
    const weight = weightsM[model] ?? 0;
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + weight * (values[i] ?? 0);
  }
  return sum;
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
    const [w0, w1] = slerpWeights(tensor, t);
    return ({ baseN, modelsMN: [other] }) => weightedSum([baseN, other].filter(isThere), [w0, w1]);
  },
});

function isThere(values: Float32Array | undefined): values is Float32Array {
  return values !== undefined;
}

/** What the two tensors are multiplied with: their own lengths are kept, the angle is that between their directions. */
function slerpWeights(tensor: TensorToMerge, t: number): readonly [number, number] {
  let [dot, base, other] = [0, 0, 0];
  for (const { baseN = new Float32Array(), modelsMN } of tensor.stream()) {
    const otherN = modelsMN[0] ?? new Float32Array();
    for (let i = 0; i < baseN.length; i++) {
      const [a, b] = [baseN[i] ?? 0, otherN[i] ?? 0];
      dot += a * b;
      base += a * a;
      other += b * b;
    }
  }
  // A tensor of nothing has no direction, and its length is taken as 1. Source: mergekit.
  const length = (squares: number): number => (Math.sqrt(squares) > 1e-8 ? Math.sqrt(squares) : 1);
  const cosine = dot / (length(base) * length(other));
  if (Math.abs(cosine) > PARALLEL) return [1 - t, t];
  const angle = Math.acos(cosine);
  return [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
}
