/**
 * How far the merged model's predictions are from its experts', in nats, and SyMerge's cross-entropy with filtered pseudo-labels. Targets are the
 * experts' probabilities. Sources: knowledge distillation (Hinton et al. 2015, arXiv:1503.02531) for temperature; SAMerging
 * (arXiv:2512.21288) for KL at temperature 2, without Hinton's factor T^2; SyMerge (ICML 2026; official code main_symerge.py) for
 * the filter. B examples, C classes.
 */
import { type Tensor, tf } from "../engine/tf.js";
import { targetDivergence } from "./cross-entropy.js";

/** Which way probabilities are compared: KL(expert || merged), KL(merged || expert), or Jensen and Shannon's mean of both to their middle. */
export type DivergenceKind = "kl" | "reverse_kl" | "js";

/** Probabilities below this count as this much inside a logarithm: an expert in float32 is certain, a divergence must be finite. */
const SMALLEST = 1e-12;

const logOf = (probabilitiesBC: Tensor): Tensor => tf.log(tf.maximum(probabilitiesBC, tf.scalar(SMALLEST)));

/**
 * Mean over the batch of the divergence between targetsBC, which are softmax(expert's logits / temperature), and softmax(logitsBC / temperature).
 * A scalar in nats, 0 when they agree; js is at most log 2.
 */
export function expertDivergence(
  logitsBC: Tensor,
  targetsBC: Tensor,
  kind: DivergenceKind = "kl",
  temperature = 1,
): Tensor {
  const softerBC = temperature === 1 ? logitsBC : tf.mul(logitsBC, tf.scalar(1 / temperature));
  if (kind === "kl") return targetDivergence(softerBC, targetsBC);
  const logBC = tf.logSoftmax(softerBC, -1);
  const ownBC = tf.exp(logBC);
  const logTargetsBC = logOf(targetsBC);
  if (kind === "reverse_kl") return meanOfRows(tf.mul(ownBC, tf.sub(logBC, logTargetsBC)));
  const logMiddleBC = logOf(tf.mul(tf.add(ownBC, targetsBC), tf.scalar(0.5)));
  const towardsBC = tf.add(
    tf.mul(targetsBC, tf.sub(logTargetsBC, logMiddleBC)),
    tf.mul(ownBC, tf.sub(logBC, logMiddleBC)),
  );
  return tf.mul(meanOfRows(towardsBC), tf.scalar(0.5));
}

/**
 * Cross-entropy with the class y that the expert thinks likeliest, as a mean over the examples that SyMerge keeps: those where the merged model says y too,
 * or where the expert is at least as sure as it. What is dropped is the merged model's confident disagreement. 0 where none is kept. The filter has no gradient; classes
 * that an expert finds equally likely share the label.
 */
export function pseudoLabelLoss(logitsBC: Tensor, targetsBC: Tensor): Tensor {
  const logBC = tf.logSoftmax(logitsBC, -1);
  const surenessB1 = tf.max(targetsBC, -1, true);
  const likeliestBC = tf.cast(tf.equal(targetsBC, surenessB1), "float32");
  const labelBC = tf.div(likeliestBC, tf.sum(likeliestBC, -1, true));
  const lossB = tf.neg(tf.sum(tf.mul(labelBC, logBC), -1));
  const ownB = tf.max(logBC, -1);
  const agreesB = tf.greaterEqual(tf.neg(lossB), ownB);
  const surerB = tf.greaterEqual(tf.squeeze(surenessB1, [1]), tf.exp(ownB));
  const keptB = tf.maximum(tf.cast(agreesB, "float32"), tf.cast(surerB, "float32"));
  return tf.div(tf.sum(tf.mul(keptB, lossB)), tf.maximum(tf.sum(keptB), tf.scalar(1)));
}

function meanOfRows(valuesBC: Tensor): Tensor {
  return tf.mean(tf.sum(valuesBC, -1));
}
