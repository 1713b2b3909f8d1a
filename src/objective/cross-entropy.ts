/** Cross-entropy with labels or with target probabilities, in nats. B images, C classes. */
import { type Tensor, tf } from "../engine/tf.js";

/** Mean over the batch of -log softmax(logitsBC)[label]; labelsB int32 [B], smoothing in [0, 1). As torch's CrossEntropyLoss. */
export function meanCrossEntropy(logitsBC: Tensor, labelsB: Tensor, smoothing = 0): Tensor {
  const classes = logitsBC.shape[1] ?? 1;
  const targetsBC = tf.oneHot(
    tf.cast(labelsB, "int32"),
    classes,
    1 - smoothing + smoothing / classes,
    smoothing / classes,
  );
  return tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(logitsBC, -1), targetsBC), -1)));
}

/** Mean over the batch of -sum_c targetsBC log softmax(logitsBC); targets are probabilities. */
export function targetCrossEntropy(logitsBC: Tensor, targetsBC: Tensor): Tensor {
  return tf.neg(tf.mean(tf.sum(tf.mul(targetsBC, tf.logSoftmax(logitsBC, -1)), -1)));
}

/** Where a target is 0 its term is 0: below this the logarithm is not looked at. */
const SMALLEST_TARGET = 1e-12;

/** Mean over the batch of KL(targets || softmax(logits)): 0 when they agree; its gradient is that of the cross-entropy. */
export function targetDivergence(logitsBC: Tensor, targetsBC: Tensor): Tensor {
  const logTargets = tf.log(tf.maximum(targetsBC, tf.scalar(SMALLEST_TARGET)));
  return tf.mean(tf.sum(tf.mul(targetsBC, tf.sub(logTargets, tf.logSoftmax(logitsBC, -1))), -1));
}
