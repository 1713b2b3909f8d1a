/** Calls one of our own kernels. tfjs types kernel results as open maps; ours return tensors. */
import { assert } from "../../errors.js";
import { type NamedAttrMap, type Tensor, tf } from "../tf.js";

/** All outputs of the kernel `name`. */
export function runKernel(name: string, inputs: Readonly<Record<string, Tensor>>, attrs: NamedAttrMap = {}): Tensor[] {
  const outputs: unknown = tf.engine().runKernel(name, { ...inputs }, attrs);
  return (Array.isArray(outputs) ? outputs : [outputs]).map((output: unknown) => {
    assert(output instanceof tf.Tensor, `kernel ${name} returned something else than tensors`);
    return output;
  });
}
