/**
 * The one entry to TensorFlow.js. tfjs keeps global registries of kernels and gradients; a second
 * copy (say, through @tensorflow/tfjs-core's own entry point) has no gradients, so nobody else imports it.
 */
import tf from "@tensorflow/tfjs";

// Silences tfjs's greeting about tfjs-node and skips its checks that read values back.
tf.enableProdMode();

export type { DataType, NamedAttrMap, NamedTensorInfoMap, Rank, Tensor, TensorInfo } from "@tensorflow/tfjs";
export { tf };
