/**
 * The gradients of a function in all tensors of a model, some of which its features may not use (a pooler beside a mean over tokens): theirs are
 * zeros. tf.valueAndGrads refuses those; for the others it is the same, node by node.
 */
import { assert } from "../../errors.js";
import { type Tensor, tf } from "../tf.js";
import { ownTensor, tfjs } from "../tfjs.js";
import { isTracing } from "../trace/backend.js";

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

/**
 * The gradients in each input of each of the `count` scalars that f(inputs) gives. A traced graph has the forward pass once: as long as tfjs computes
 * one gradient, it keeps what others within need of it. Eagerly f is called for each.
 */
export function gradientsOfEach(
  f: (...inputs: Tensor[]) => readonly Tensor[],
  count: number,
  inputs: readonly Tensor[],
): readonly (readonly Tensor[])[] {
  const scalarAt = (scalars: readonly Tensor[], at: number): Tensor => {
    const scalar = scalars[at];
    assert(scalar !== undefined && scalars.length === count, `${scalars.length} scalars, not ${count}`);
    return scalar;
  };
  const each = Array.from({ length: count }, (_, at) => at);
  if (!isTracing())
    return each.map((at) => valueAndGradients((...given) => scalarAt(f(...given), at), inputs).gradients);
  let found: readonly (readonly Tensor[])[] = [];
  // Of the outer gradient nothing is read, so that the graph does not have it.
  valueAndGradients((...given) => {
    const scalars = f(...given);
    found = each.map((at) =>
      valueAndGradients(() => scalarAt(scalars, at), given).gradients.map((gradient) => tfjs.keep(ownTensor(gradient))),
    );
    return scalarAt(scalars, 0);
  }, inputs);
  return found;
}
