/** The tensors of a program by name. */
import { assert } from "../errors.js";
import type { Tensor } from "./tf.js";

/** A function from names to tensors that fails on an unknown name. */
export function lookup(tensors: ReadonlyMap<string, Tensor>): (name: string) => Tensor {
  return (name) => {
    const tensor = tensors.get(name);
    assert(tensor !== undefined, `no tensor ${name} in this program`);
    return tensor;
  };
}
