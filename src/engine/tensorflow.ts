/**
 * TensorFlow's own library as a backend of tfjs, by one of tfjs's two packages for it. Neither is a dependency: their installers fetch the library from
 * outside the registries, and scripts/install/tensorflow.mjs readies the first without its installer.
 */
import { createRequire } from "node:module";
import { ConfigError } from "../errors.js";
import { tfjs } from "./tfjs.js";

/**
 * Registers the backend `tensorflow` of tfjs. `threads` (0: all cores) holds for the process. Throws ConfigError where neither package is there with
 * its binding and library.
 */
export function loadTensorflow(threads: number): void {
  // Errors only: what TensorFlow says about the processor goes over the progress line. Both are read when its library starts.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= "2";
  if (threads > 0) process.env.TF_NUM_INTRAOP_THREADS ??= String(threads);
  const require = createRequire(import.meta.url);
  const reasons: string[] = [];
  for (const name of ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"]) {
    try {
      require(name);
      return;
    } catch (error) {
      reasons.push(`${name}: ${error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error)}`);
    }
  }
  throw new ConfigError(
    `device=tensorflow: expected TensorFlow's library and its binding, found neither package that loads them (${reasons.join("; ")}); ready them: ${READY_TENSORFLOW}`,
  );
}

/** What readies TensorFlow's library, where it is missing. */
export const READY_TENSORFLOW =
  "`npm run tensorflow` in adamerge's source tree, `node node_modules/adamerge/scripts/install/tensorflow.mjs` where it is installed";

/** TensorFlow's version and what it computes on, once its backend is ready: its library takes the CPU where it finds no GPU. */
export function tensorflowLibrary(): string {
  const backend: unknown = tfjs.backend();
  const { binding, isUsingGpuDevice } = backend as { binding?: { TF_Version?: string }; isUsingGpuDevice?: boolean };
  return `TensorFlow ${binding?.TF_Version ?? "of unknown version"}, on ${isUsingGpuDevice ? "a GPU" : "the CPU"}`;
}
