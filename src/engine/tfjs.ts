/**
 * The one place that loads TensorFlow.js: its core, the gradients of its operations and the backend in plain JavaScript. Whole and with its own types,
 * for what extends it (the tracer, the eager engine); models and objectives are written in `tf.ts`. The gradients are bundled by the build
 * (`scripts/build-gradients.mjs`), since Node cannot load tfjs's modules that register them; this path finds them from the sources too.
 */
import { createRequire } from "node:module";
import "@tensorflow/tfjs-backend-cpu";
import tfjs from "@tensorflow/tfjs-core";
import { assert } from "../errors.js";
import type { Tensor } from "./operations.js";

createRequire(import.meta.url)("../../dist/engine/tfjs-gradients.cjs");

// Silences tfjs's greeting about tfjs-node and skips its checks that read values back.
tfjs.enableProdMode();

/** A tensor as tfjs's own functions take it. */
export function ownTensor(tensor: Tensor): tfjs.Tensor {
  assert(tensor instanceof tfjs.Tensor, "something else than a tensor of tfjs was given to it");
  return tensor;
}

export type { DataType, NamedAttrMap, NamedTensorInfoMap, TensorInfo } from "@tensorflow/tfjs-core";
export { tfjs };
