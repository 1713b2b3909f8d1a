/** Calls one of our own kernels. tfjs types kernel results as open maps; ours return tensors. */
import { assert } from "../../errors.js";
import type { Tensor } from "../tf.js";
import { type NamedAttrMap, ownTensor, tfjs } from "../tfjs.js";

/** All outputs of the kernel `name`. */
export function runKernel(name: string, inputs: Readonly<Record<string, Tensor>>, attrs: NamedAttrMap = {}): Tensor[] {
  const own = Object.fromEntries(Object.entries(inputs).map(([key, tensor]) => [key, ownTensor(tensor)]));
  const outputs: unknown = tfjs.engine().runKernel(name, own, attrs);
  return (Array.isArray(outputs) ? outputs : [outputs]).map((output: unknown) => {
    assert(output instanceof tfjs.Tensor, `kernel ${name} returned something else than tensors`);
    return output;
  });
}
