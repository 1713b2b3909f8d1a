/** A model's linear layer, with the factors that change its matrix where there are some (LoRA). */
import { linear } from "../engine/ops/linear.js";
import { lowRankLinear } from "../engine/ops/low-rank-linear.js";
import { type Tensor, tf } from "../engine/tf.js";
import type { ModelWatch } from "./family.js";
import type { ModelWeights } from "./model-weights.js";

export interface LinearLayer {
  /** Names of its tensors: the matrix [O, I] and the bias [O]. */
  readonly weight: string;
  readonly bias?: string;
  /** What its output is multiplied with: a factor of the weights, which are smaller. */
  readonly scale?: number;
}

/** x [..., I] -> [..., O]; `watch` is told of x. */
export function linearLayer(
  weights: ModelWeights,
  { weight: name, bias: biasName, scale = 1 }: LinearLayer,
  x: Tensor,
  watch: ModelWatch,
): Tensor {
  watch.input?.(name, x);
  const scaled = (values: Tensor): Tensor => (scale === 1 ? values : tf.mul(values, scale));
  const weight = scaled(weights.get(name));
  const bias = biasName === undefined ? undefined : scaled(weights.get(biasName));
  const factors = weights.factors?.(name);
  if (factors === undefined) return linear(x, weight, bias);
  return lowRankLinear(x, weight, { ...factors, bOR: scaled(factors.bOR) }, bias);
}
