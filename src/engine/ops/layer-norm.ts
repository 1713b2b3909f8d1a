/** Layer normalisation over the last axis. B rows (any leading shape), D features. */

import { type Tensor, tf } from "../tf.js";
import { isTracing } from "../trace/backend.js";
import { LAYER_NORM_KERNEL } from "../trace/kernels/fused.js";
import { at, withGradient } from "./custom-gradient.js";
import { columnSums } from "./linear.js";
import { runKernel } from "./run-kernel.js";

/**
 * y = (x - mean) / sqrt(var + epsilon) * scale + bias; x [..., D], scale and bias [D].
 * Source: Ba et al. 2016, arXiv:1607.06450; biased variance as in torch.nn.LayerNorm.
 */
export function layerNorm(x: Tensor, scaleD: Tensor, biasD: Tensor, epsilon: number): Tensor {
  return isTracing() ? fusedLayerNorm(x, scaleD, biasD, epsilon) : plainLayerNorm(x, scaleD, biasD, epsilon);
}

/** The same in plain ops, with tfjs's own gradient: the form that the fused one is checked against. */
export function plainLayerNorm(x: Tensor, scaleD: Tensor, biasD: Tensor, epsilon: number): Tensor {
  return tf.add(tf.mul(normalised(x, epsilon), scaleD), biasD);
}

/** What a norm multiplies by its scale: (x - mean) / sqrt(var + epsilon), [..., D]. */
export function normalised(x: Tensor, epsilon: number): Tensor {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centred), -1, true);
  return tf.mul(centred, tf.rsqrt(tf.add(variance, tf.scalar(epsilon))));
}

/** One ONNX node forward; backward from its saved mean and inverse deviation. Traced programs only. */
function fusedLayerNorm(x: Tensor, scaleD: Tensor, biasD: Tensor, epsilon: number): Tensor {
  return withGradient(
    [x, scaleD, biasD],
    (inputs) => {
      const [x, scale, bias] = [at(inputs, 0), at(inputs, 1), at(inputs, 2)];
      const outputs = runKernel(LAYER_NORM_KERNEL, { x, scale, bias }, { epsilon });
      return { value: at(outputs, 0), saved: [at(outputs, 1), at(outputs, 2)] };
    },
    (dy, inputs, saved) => {
      const features = x.shape[x.shape.length - 1] ?? 1;
      const normalized = tf.mul(tf.sub(at(inputs, 0), at(saved, 0)), at(saved, 1));
      const dNormalized = tf.mul(dy, at(inputs, 1));
      const meanD = tf.mean(dNormalized, -1, true);
      const meanDN = tf.mean(tf.mul(dNormalized, normalized), -1, true);
      const dx = tf.mul(tf.sub(tf.sub(dNormalized, meanD), tf.mul(normalized, meanDN)), at(saved, 1));
      const rows = (tensor: Tensor): Tensor => tf.reshape(tensor, [-1, features]);
      return [dx, columnSums(rows(tf.mul(dy, normalized))), columnSums(rows(dy))];
    },
  );
}
