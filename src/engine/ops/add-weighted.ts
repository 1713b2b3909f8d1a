/** A base tensor plus a weighted sum of others: what merging is. K tensors, S elements each. */

import { type Tensor, tf } from "../tf.js";
import { at, withGradient } from "./custom-gradient.js";

/**
 * base + sum over k of weightsK[k] * othersKS[k], in the base's shape of S elements; weightsK [K], othersKS [K, S].
 * The gradient of the weights is a product with a column: ONNX Runtime spreads that over the cores, while the [1, S] x [S, K]
 * product of tfjs's own gradient runs on one and copies the others first.
 */
export function addWeighted(base: Tensor, othersKS: Tensor, weightsK: Tensor): Tensor {
  const [others, size] = [othersKS.shape[0] ?? 1, othersKS.shape[1] ?? 1];
  return withGradient(
    [base, othersKS, weightsK],
    (inputs) => ({ value: plainAddWeighted(at(inputs, 0), at(inputs, 1), at(inputs, 2)), saved: [] }),
    (dy, inputs) => {
      const dyS = tf.reshape(dy, [size]);
      const dOthersKS = tf.mul(tf.reshape(at(inputs, 2), [others, 1]), tf.reshape(dyS, [1, size]));
      const dWeightsK = tf.reshape(tf.matMul(at(inputs, 1), tf.reshape(dyS, [size, 1])), [others]);
      return [dy, dOthersKS, dWeightsK];
    },
  );
}

/** The same with tfjs's own gradient: the form that the other is checked against. */
export function plainAddWeighted(base: Tensor, othersKS: Tensor, weightsK: Tensor): Tensor {
  const product = tf.matMul(tf.reshape(weightsK, [1, othersKS.shape[0] ?? 1]), othersKS);
  return tf.add(base, tf.reshape(product, base.shape));
}
