/** A base tensor plus a weighted sum of others: what merging is. K tensors, S elements each. */

import { sizeOf } from "../program.js";
import { type Tensor, tf } from "../tf.js";
import { isTracing } from "../trace/backend.js";
import { WIDEN_KERNEL } from "../trace/kernels/fused.js";
import { at, withGradient } from "./custom-gradient.js";
import { runKernel } from "./run-kernel.js";

/**
 * base + sum over k of weightsK[k] * others[k], in the base's shape of S elements; weightsK [K], others [K, ...shape].
 * The gradient of the weights is a product with a column: ONNX Runtime spreads that over the cores, while the [1, S] x [S, K]
 * product of tfjs's own gradient runs on one and copies the others first. Others that are stored as float16 are widened for each of the
 * two products anew, so that no widened copy waits in between.
 */
export function addWeighted(base: Tensor, others: Tensor, weightsK: Tensor): Tensor {
  const count = others.shape[0] ?? 1;
  return withGradient(
    [base, others, weightsK],
    (inputs) => {
      const product = tf.matMul(tf.reshape(at(inputs, 2), [1, count]), matrix(at(inputs, 1), false));
      return { value: tf.add(at(inputs, 0), tf.reshape(product, base.shape)), saved: [] };
    },
    (dy, inputs) => {
      const size = sizeOf(base.shape);
      const dOthers = tf.mul(tf.reshape(at(inputs, 2), [count, 1]), tf.reshape(dy, [1, size]));
      const dWeights = tf.matMul(matrix(at(inputs, 1), true), tf.reshape(dy, [size, 1]));
      return [dy, tf.reshape(dOthers, others.shape), tf.reshape(dWeights, [count])];
    },
  );
}

function matrix(others: Tensor, again: boolean): Tensor {
  return isTracing()
    ? at(runKernel(WIDEN_KERNEL, { x: others }, { again }), 0)
    : tf.reshape(others, [others.shape[0] ?? 1, -1]);
}

/** The same with tfjs's own gradient: the form that the other is checked against. */
export function plainAddWeighted(base: Tensor, others: Tensor, weightsK: Tensor): Tensor {
  const count = others.shape[0] ?? 1;
  const product = tf.matMul(tf.reshape(weightsK, [1, count]), tf.reshape(others, [count, -1]));
  return tf.add(base, tf.reshape(product, base.shape));
}
