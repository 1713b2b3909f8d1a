/**
 * tfjs.customGrad with types. tfjs passes the saver as a last, untyped argument; this is the one place that knows it.
 * `backward` returns one gradient per input, as tensors (tfjs does not accept thunks here); in a compiled program those
 * that nobody asks for are dropped.
 */
import { assert } from "../../errors.js";
import type { Tensor } from "../tf.js";
import { ownTensor, tfjs } from "../tfjs.js";

export interface Forward {
  readonly value: Tensor;
  /** What `backward` needs, besides the inputs. */
  readonly saved: readonly Tensor[];
}

/** The op whose value is `forward(inputs)` and whose gradient is `backward(dy, inputs, saved)`. */
export function withGradient(
  inputs: readonly Tensor[],
  forward: (inputs: readonly Tensor[]) => Forward,
  backward: (dy: Tensor, inputs: readonly Tensor[], saved: readonly Tensor[]) => Tensor[],
): Tensor {
  const op = tfjs.customGrad((...args) => {
    const save = args[args.length - 1];
    assert(typeof save === "function", "tfjs passed no saver to customGrad");
    const tensors = args.slice(0, -1).filter((arg) => typeof arg !== "function");
    const { value, saved } = forward(tensors);
    save([...tensors, ...saved.map(ownTensor)]);
    return {
      value: ownTensor(value),
      gradFunc: (dy: Tensor, kept: Tensor[]) =>
        backward(dy, kept.slice(0, tensors.length), kept.slice(tensors.length)).map(ownTensor),
    };
  });
  return op(...inputs.map(ownTensor));
}

/** `list[index]`, which must be there. */
export function at(list: readonly Tensor[], index: number): Tensor {
  const tensor = list[index];
  assert(tensor !== undefined, `no tensor at ${index}`);
  return tensor;
}
