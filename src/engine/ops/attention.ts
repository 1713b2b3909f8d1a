/** Softmax attention. B batch, H heads, Q queries, K keys, D head width. */

import { type Tensor, tf } from "../tf.js";
import { isTracing } from "../trace/backend.js";
import { at, withGradient } from "./custom-gradient.js";

/**
 * softmax(q kT + mask) v; q already carries the 1/sqrt(D) scale. queryBHQD, keyBHKD, valueBHKD -> [B, H, Q, D]. The mask broadcasts to
 * [B, H, Q, K] and has no gradient.
 */
export function attention(queryBHQD: Tensor, keyBHKD: Tensor, valueBHKD: Tensor, mask?: Tensor): Tensor {
  const form = isTracing() ? fusedAttention : plainAttention;
  return form(queryBHQD, keyBHKD, valueBHKD, mask);
}

/** The same with tfjs's own gradient: the form that the fused one is checked against. */
export function plainAttention(queryBHQD: Tensor, keyBHKD: Tensor, valueBHKD: Tensor, mask?: Tensor): Tensor {
  return tf.matMul(attentionWeights(queryBHQD, keyBHKD, mask), valueBHKD);
}

function attentionWeights(queryBHQD: Tensor, keyBHKD: Tensor, mask: Tensor | undefined): Tensor {
  const scoresBHQK = tf.matMul(queryBHQD, keyBHKD, false, true);
  return tf.softmax(mask === undefined ? scoresBHQK : tf.add(scoresBHQK, mask));
}

/**
 * Hand gradient: the softmax's row term sum(dP * P) equals sum(dO * O), which is D wide instead of K
 * (Dao et al. 2022, FlashAttention, section B.2), so the K x K matrices are walked twice instead of four times.
 */
function fusedAttention(queryBHQD: Tensor, keyBHKD: Tensor, valueBHKD: Tensor, mask?: Tensor): Tensor {
  return withGradient(
    [queryBHQD, keyBHKD, valueBHKD],
    (inputs) => {
      const weightsBHQK = attentionWeights(at(inputs, 0), at(inputs, 1), mask);
      const value = tf.matMul(weightsBHQK, at(inputs, 2));
      return { value, saved: [weightsBHQK, value] };
    },
    (dOut, inputs, saved) => {
      const weights = at(saved, 0);
      const rowTerm = tf.sum(tf.mul(dOut, at(saved, 1)), -1, true);
      const dWeights = tf.matMul(dOut, at(inputs, 2), false, true);
      const dScores = tf.mul(weights, tf.sub(dWeights, rowTerm));
      return [
        tf.matMul(dScores, at(inputs, 1)),
        tf.matMul(dScores, at(inputs, 0), true, false),
        tf.matMul(weights, dOut, true, false),
      ];
    },
  );
}
