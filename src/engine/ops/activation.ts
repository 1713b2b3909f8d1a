/** The activations of transformers. */

import { type Tensor, tf } from "../tf.js";
import { isTracing } from "../trace/backend.js";
import { GELU_KERNEL, GELU_TANH_KERNEL, QUICK_GELU_KERNEL, TANH_CUBE, TANH_SLOPE } from "../trace/kernels/fused.js";
import { at, withGradient } from "./custom-gradient.js";
import { runKernel } from "./run-kernel.js";

/** `gelu_tanh` is `gelu_new` and `gelu_pytorch_tanh` in config.json, where the others have the names that they have here. */
export type Activation = "quick_gelu" | "gelu" | "gelu_tanh" | "relu";

const QUICK_GELU_SLOPE = 1.702;

/** The activation called `name`, applied to a tensor of any shape. */
export function activate(name: Activation, x: Tensor): Tensor {
  const { plain, fused } = forms[name];
  return isTracing() ? fused(x) : plain(x);
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

/** 0.5 x (1 + tanh u) with u = sqrt(2 / pi) (x + 0.044715 x^3). Plain ops, tfjs's gradient. */
export function plainGeluTanh(x: Tensor): Tensor {
  return tf.mul(tf.mul(x, tf.scalar(0.5)), tf.add(tanhOf(x), tf.scalar(1)));
}

function tanhOf(x: Tensor): Tensor {
  const cube = tf.mul(tf.square(x), tf.scalar(TANH_CUBE));
  return tf.tanh(tf.mul(tf.mul(x, tf.scalar(TANH_SLOPE)), tf.add(cube, tf.scalar(1))));
}

/** With t = tanh u: d/dx = 0.5 (1 + t) + 0.5 x (1 - t^2) du/dx. */
function fusedGeluTanh(x: Tensor): Tensor {
  return withGradient(
    [x],
    (inputs) => ({ value: at(runKernel(GELU_TANH_KERNEL, { x: at(inputs, 0) }), 0), saved: [] }),
    (dy, inputs) => {
      const value = at(inputs, 0);
      const tanh = tanhOf(value);
      const inner = tf.add(tf.mul(tf.square(value), tf.scalar(3 * TANH_CUBE * TANH_SLOPE)), tf.scalar(TANH_SLOPE));
      const slope = tf.mul(tf.mul(value, inner), tf.sub(tf.scalar(1), tanh));
      // 0.5 (1 + t) is common to both terms, since 1 - t^2 = (1 + t) (1 - t).
      const half = tf.mul(tf.add(tanh, tf.scalar(1)), tf.scalar(0.5));
      return [tf.mul(dy, tf.mul(half, tf.add(slope, tf.scalar(1))))];
    },
  );
}

const forms: Readonly<
  Record<Activation, { readonly plain: (x: Tensor) => Tensor; readonly fused: (x: Tensor) => Tensor }>
> = {
  quick_gelu: { plain: plainQuickGelu, fused: fusedQuickGelu },
  gelu: { plain: plainGelu, fused: fusedGelu },
  gelu_tanh: { plain: plainGeluTanh, fused: fusedGeluTanh },
  // tfjs's own gradient is a product with a step already.
  relu: { plain: (x) => tf.relu(x), fused: (x) => tf.relu(x) },
};
