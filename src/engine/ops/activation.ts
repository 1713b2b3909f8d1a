/** Activations of transformers, by their names in config.json. */

import { type Tensor, tf } from "../tf.js";
import { isTracing } from "../trace/backend.js";
import { GELU_KERNEL, QUICK_GELU_KERNEL } from "../trace/kernels/fused.js";
import { at, withGradient } from "./custom-gradient.js";
import { runKernel } from "./run-kernel.js";

/** `hidden_act` of config.json. */
export type Activation = "quick_gelu" | "gelu";

const QUICK_GELU_SLOPE = 1.702;

/** The activation called `name`, applied to a tensor of any shape. */
export function activate(name: Activation, x: Tensor): Tensor {
  if (!isTracing()) return name === "quick_gelu" ? plainQuickGelu(x) : plainGelu(x);
  return name === "quick_gelu" ? fusedQuickGelu(x) : fusedGelu(x);
}

/** x * sigmoid(1.702 x), the approximation of Hendrycks and Gimpel 2016 (section 2). Plain ops, tfjs's gradient. */
export function plainQuickGelu(x: Tensor): Tensor {
  return tf.mul(x, tf.sigmoid(tf.mul(x, tf.scalar(QUICK_GELU_SLOPE))));
}

/** x * Phi(x) with the normal distribution function (Hendrycks and Gimpel 2016). Plain ops, tfjs's gradient. */
export function plainGelu(x: Tensor): Tensor {
  return tf.mul(x, normalCdf(x));
}

function normalCdf(x: Tensor): Tensor {
  return tf.mul(tf.add(tf.erf(tf.mul(x, tf.scalar(Math.SQRT1_2))), tf.scalar(1)), tf.scalar(0.5));
}

/** With t = ax: d/dx x s(t) = s(t) (1 + t s(-t)), and t s(-t) is the same operator with the slope -1. */
function fusedQuickGelu(x: Tensor): Tensor {
  return withGradient(
    [x],
    (inputs) => ({ value: quickGeluKernel(at(inputs, 0), QUICK_GELU_SLOPE), saved: [] }),
    (dy, inputs) => {
      const scaled = tf.mul(at(inputs, 0), tf.scalar(QUICK_GELU_SLOPE));
      const slope = tf.mul(tf.add(quickGeluKernel(scaled, -1), tf.scalar(1)), tf.sigmoid(scaled));
      return [tf.mul(dy, slope)];
    },
  );
}

/** x * sigmoid(slope * x). */
function quickGeluKernel(x: Tensor, slope: number): Tensor {
  return at(runKernel(QUICK_GELU_KERNEL, { x }, { slope }), 0);
}

/** d/dx x Phi(x) = Phi(x) + x phi(x). */
function fusedGelu(x: Tensor): Tensor {
  return withGradient(
    [x],
    (inputs) => ({ value: at(runKernel(GELU_KERNEL, { x: at(inputs, 0) }), 0), saved: [] }),
    (dy, inputs) => {
      const value = at(inputs, 0);
      const density = tf.mul(tf.exp(tf.mul(tf.square(value), tf.scalar(-0.5))), tf.scalar(1 / Math.sqrt(2 * Math.PI)));
      return [tf.mul(dy, tf.add(normalCdf(value), tf.mul(value, density)))];
    },
  );
}
