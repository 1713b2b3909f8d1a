/**
 * How far the merged model's features are from those that the task's own expert gives to the same examples: the loss of representation surgery (Yang et al.
 * 2024, arXiv:2402.02705; L1) and, end to end, of ProDistill (Xu et al. 2025; L2). Features as heads take them. B examples, E features.
 */
import { type Tensor, tf } from "../engine/tf.js";

/** Mean over examples and features of |featuresBE - targetsBE|, as torch's l1_loss. A scalar, in the features' own measure. */
export function featureL1(featuresBE: Tensor, targetsBE: Tensor): Tensor {
  return tf.mean(tf.abs(tf.sub(featuresBE, targetsBE)));
}

/** Mean over examples and features of the squared difference, as torch's mse_loss. */
export function featureL2(featuresBE: Tensor, targetsBE: Tensor): Tensor {
  return tf.mean(tf.squaredDifference(featuresBE, targetsBE));
}
