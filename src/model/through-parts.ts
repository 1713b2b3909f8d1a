/** Features of a model that says its forward pass in parts: one after another. */
import type { Tensor } from "../engine/tf.js";
import type { ModelParts, ModelWatch } from "./family.js";
import type { ModelWeights } from "./model-weights.js";

/** Features [B, E], for `Model.features`; `mask` is the name of the model's, where it has one. */
export function throughParts(
  parts: Omit<ModelParts, "shape">,
  weights: ModelWeights,
  inputs: (name: string) => Tensor,
  watch?: ModelWatch,
  mask?: string,
): Tensor {
  const maskBT = mask === undefined ? undefined : inputs(mask);
  let hidden = parts.before(weights, inputs, watch);
  for (let index = 0; index < parts.blocks; index++) hidden = parts.block(index, weights, hidden, maskBT, watch);
  return parts.behind(weights, hidden, maskBT, watch);
}
