/** Linear layers in the Hugging Face layout. M rows, I inputs, O outputs. */

import { type Tensor, tf } from "../tf.js";
import { isTracing } from "../trace/backend.js";
import { LINEAR_KERNEL } from "../trace/kernels/fused.js";
import { at, withGradient } from "./custom-gradient.js";
import { runKernel } from "./run-kernel.js";

/** x [..., I] times weightOI [O, I] transposed, plus bias [O] when there is one; result [..., O]. As torch.nn.Linear. */
export function linear(x: Tensor, weightOI: Tensor, biasO?: Tensor): Tensor {
  const [outputs, inputs] = weightOI.shape;
  const xMI = tf.reshape(x, [-1, inputs ?? 1]);
  const yMO = biasO === undefined ? tf.matMul(xMI, weightOI, false, true) : biased(xMI, weightOI, biasO);
  return tf.reshape(yMO, [...x.shape.slice(0, -1), outputs ?? 1]);
}

function biased(xMI: Tensor, weightOI: Tensor, biasO: Tensor): Tensor {
  return isTracing() ? fusedLinear(xMI, weightOI, biasO) : plainLinear(xMI, weightOI, biasO);
}

/** The same in plain ops, with tfjs's own gradient: the form that the fused one is checked against. */
export function plainLinear(xMI: Tensor, weightOI: Tensor, biasO: Tensor): Tensor {
  return tf.add(tf.matMul(xMI, weightOI, false, true), biasO);
}

/** One Gemm with bias. Traced programs only. */
function fusedLinear(xMI: Tensor, weightOI: Tensor, biasO: Tensor): Tensor {
  return withGradient(
    [xMI, weightOI, biasO],
    (inputs) => {
      const [x, w, bias] = [at(inputs, 0), at(inputs, 1), at(inputs, 2)];
      return { value: at(runKernel(LINEAR_KERNEL, { x, w, bias }), 0), saved: [] };
    },
    (dyMO, inputs) => [tf.matMul(dyMO, at(inputs, 1)), weightGradient(dyMO, at(inputs, 0)), columnSums(dyMO)],
  );
}

/**
 * dy transposed times x: [O, I]. ONNX Runtime's product transposes its left side anew for every panel of the right one, which costs
 * 10 to 25 % of it; where dy is the smaller side it is transposed before. Through rank 3, or ONNX Runtime would put the two together again.
 */
export function weightGradient(dyMO: Tensor, xMI: Tensor): Tensor {
  const [rows, outputs] = dyMO.shape;
  if ((outputs ?? 1) > (xMI.shape[1] ?? 1)) return tf.matMul(dyMO, xMI, true, false);
  const turned = tf.transpose(tf.reshape(dyMO, [1, rows ?? 1, outputs ?? 1]), [2, 0, 1]);
  return tf.matMul(tf.reshape(turned, [outputs ?? 1, rows ?? 1]), xMI);
}

/**
 * Sums over the rows: [M, O] -> [O]. As a product with a row of ones, because ONNX Runtime's ReduceSum adds up a
 * long axis in one float32 accumulator and loses digits.
 */
export function columnSums(xMO: Tensor): Tensor {
  const [rows, columns] = xMO.shape;
  return tf.reshape(tf.matMul(tf.ones([1, rows ?? 1]), xMO), [columns ?? 1]);
}
