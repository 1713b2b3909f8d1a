/**
 * A linear layer whose matrix is changed by a product of two factors, as LoRA's (Hu et al. 2021, arXiv:2106.09685,
 * equation 3). The product is added to the matrix, which is smaller than what the layer makes of a batch; the factors'
 * gradients never form that of the matrix, which would be a third of the work. M rows, I inputs, O outputs, R ranks.
 */
import { type Tensor, tf } from "../tf.js";
import { isTracing } from "../trace/backend.js";
import { at, withGradient } from "./custom-gradient.js";
import { columnSums, linear, weightGradient } from "./linear.js";

/** Factors of a change of a weight [O, I] of rank R: bOR [O, R] times aRI [R, I]. */
export interface LowRankFactors {
  readonly aRI: Tensor;
  /** With whatever scale the product has. */
  readonly bOR: Tensor;
  /** Which values of x the factors are given: 1 where one is, else 0, in the shape of x (dropout). All, where absent. */
  readonly keptX?: Tensor;
}

/**
 * x [..., I] times (W + B A) transposed, plus bias [O] when there is one; result [..., O]. Where only some values of x go
 * through the factors, it is x W^T + (x kept) A^T B^T.
 */
export function lowRankLinear(x: Tensor, weightOI: Tensor, factors: LowRankFactors, biasO?: Tensor): Tensor {
  const [outputs, inputs] = weightOI.shape;
  const { aRI, bOR, keptX } = factors;
  if (!isTracing()) return plainLowRankLinear(x, weightOI, factors, biasO);
  if (keptX !== undefined) return tf.add(linear(x, weightOI, biasO), throughFactors(x, keptX, factors));
  const xMI = tf.reshape(x, [-1, inputs ?? 1]);
  const yMO = withGradient(
    [xMI, weightOI, aRI, bOR, ...(biasO === undefined ? [] : [biasO])],
    (given) => {
      const [own, weight, a, b, bias] = [at(given, 0), at(given, 1), at(given, 2), at(given, 3), given[4]];
      const changedOI = tf.add(weight, tf.matMul(b, a));
      return { value: linear(own, changedOI, bias), saved: [changedOI] };
    },
    (dyMO, given, saved) => {
      const [own, a, b] = [at(given, 0), at(given, 2), at(given, 3)];
      const dyOfRanksMR = tf.matMul(dyMO, b);
      return [
        tf.matMul(dyMO, at(saved, 0)),
        weightGradient(dyMO, own),
        tf.matMul(dyOfRanksMR, own, true, false),
        weightGradient(dyMO, tf.matMul(own, a, false, true)),
        ...(biasO === undefined ? [] : [columnSums(dyMO)]),
      ];
    },
  );
  return tf.reshape(yMO, [...x.shape.slice(0, -1), outputs ?? 1]);
}

/** (x kept) A^T B^T: [..., O]. What is kept is multiplied again in the gradient, which takes less memory than to store it. */
function throughFactors(x: Tensor, keptX: Tensor, { aRI, bOR }: LowRankFactors): Tensor {
  const [, inputs] = aRI.shape;
  const [outputs] = bOR.shape;
  const keptMI = tf.reshape(keptX, [-1, inputs ?? 1]);
  const yMO = withGradient(
    [tf.reshape(x, [-1, inputs ?? 1]), aRI, bOR],
    (given) => {
      const ofRanksMR = tf.matMul(tf.mul(at(given, 0), keptMI), at(given, 1), false, true);
      return { value: tf.matMul(ofRanksMR, at(given, 2), false, true), saved: [ofRanksMR] };
    },
    (dyMO, given, saved) => {
      const [own, a, b] = [at(given, 0), at(given, 1), at(given, 2)];
      const dyOfRanksMR = tf.matMul(dyMO, b);
      return [
        tf.mul(tf.matMul(dyOfRanksMR, a), keptMI),
        tf.matMul(dyOfRanksMR, tf.mul(own, keptMI), true, false),
        weightGradient(dyMO, at(saved, 0)),
      ];
    },
  );
  return tf.reshape(yMO, [...x.shape.slice(0, -1), outputs ?? 1]);
}

/** The same with tfjs's own gradient: the form that the other is checked against. */
export function plainLowRankLinear(
  x: Tensor,
  weightOI: Tensor,
  { aRI, bOR, keptX }: LowRankFactors,
  biasO?: Tensor,
): Tensor {
  if (keptX !== undefined) return tf.add(linear(x, weightOI, biasO), linear(linear(tf.mul(x, keptX), aRI), bOR));
  return linear(x, tf.add(weightOI, tf.matMul(bOR, aRI)), biasO);
}
