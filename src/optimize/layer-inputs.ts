/** What goes into the linear layers of a model, by its shape: a forward pass is traced for it, and nothing is computed. */
import { lookup } from "../engine/lookup.js";
import { traceProgram } from "../engine/trace/trace-program.js";
import type { Model } from "../model/family.js";
import { givenWeights, weightSpecs } from "./step-program.js";

/**
 * Shapes [B, ..., I] of the inputs for `examples` examples, padded to `length` where they have lengths, by the name of
 * the layer's matrix. A layer that the features do not use has none; the last block may be given fewer tokens.
 */
export function layerInputs(
  model: Model,
  examples: number,
  length: number | undefined,
): ReadonlyMap<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  traceProgram({
    name: "layer-inputs",
    frozen: new Map(weightSpecs(model)),
    inputs: model.inputs(examples, length),
    build: (tensors) => {
      const get = lookup(tensors);
      const watch = {
        input: (name: string, x: { readonly shape: readonly number[] }) => void shapes.set(name, x.shape),
      };
      return new Map([["features", model.features(givenWeights(get), get, watch)]]);
    },
  });
  return shapes;
}
