/**
 * The objective of AdaMerging: Shannon entropy of the predictions, in nats.
 * Source: Yang et al. 2024, arXiv:2310.02575, equation 4; official code `softmax_entropy` (log-softmax form);
 * FusionBench `entropy_loss` (epsilon form). B images, C classes.
 */
import { type Tensor, tf } from "../engine/tf.js";

export type EntropyForm = { readonly form: "log_softmax" } | { readonly form: "epsilon"; readonly epsilon: number };

/** Mean over the batch of the entropy of softmax(logitsBC): a scalar, in nats. */
export function meanEntropy(logitsBC: Tensor, options: EntropyForm): Tensor {
  return tf.neg(tf.mean(negativeEntropies(logitsBC, options)));
}

/** As `meanEntropy`, but the sum over the batch, each example times its weight [B]. */
export function weightedEntropy(logitsBC: Tensor, weightsB: Tensor, options: EntropyForm): Tensor {
  return tf.neg(tf.sum(tf.mul(weightsB, negativeEntropies(logitsBC, options))));
}

function negativeEntropies(logitsBC: Tensor, options: EntropyForm): Tensor {
  const logProbabilities = tf.logSoftmax(logitsBC, -1);
  const probabilities = tf.exp(logProbabilities);
  const logs =
    options.form === "log_softmax" ? logProbabilities : tf.log(tf.add(probabilities, tf.scalar(options.epsilon)));
  return tf.sum(tf.mul(probabilities, logs), -1);
}
