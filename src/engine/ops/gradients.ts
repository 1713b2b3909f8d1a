/**
 * The gradients of a function in all tensors of a model, some of which its features may not use (a pooler beside a mean over tokens): theirs are
 * zeros. tf.valueAndGrads refuses those; for the others it is the same, node by node.
 */
import { type Tensor, tf } from "../tf.js";
import { ownTensor, tfjs } from "../tfjs.js";

export interface ValueAndGradients {
  readonly value: Tensor;
  /** In the order and the shapes of the inputs. */
  readonly gradients: readonly Tensor[];
}

/** f(inputs) and its gradient in each input, summed over the value's elements times `weights` (1 if absent). */
export function valueAndGradients(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  weights?: Tensor,
): ValueAndGradients {
  const dy = weights === undefined ? undefined : ownTensor(weights);
  const { value, grads } = tfjs.engine().gradients(() => ownTensor(f(...inputs)), inputs.map(ownTensor), dy);
  return { value, gradients: inputs.map((input, index) => grads[index] ?? tf.zerosLike(input)) };
}
