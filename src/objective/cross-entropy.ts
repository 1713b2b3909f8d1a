/** Cross-entropy with labels, in nats: for fine-tuning experts. B images, C classes. */
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
