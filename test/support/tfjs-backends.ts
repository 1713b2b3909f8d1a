/**
 * The backends of tfjs that conformance tests hold against references. TensorFlow's library takes the place of the others where
 * ADAMERGE_TEST_TENSORFLOW says that `npm run tensorflow` has readied it: test/full/tensorflow.test.ts runs the tests so.
 */
import type { TfjsBackend } from "../../src/engine/tfjs-engine.js";

const isTensorflow = process.env.ADAMERGE_TEST_TENSORFLOW !== undefined;

/** For small shapes. */
export const TFJS_BACKENDS: readonly TfjsBackend[] = isTensorflow ? ["tensorflow"] : ["cpu", "wasm"];

/** For what takes the others long. */
export const FASTER_TFJS_BACKENDS: readonly TfjsBackend[] = isTensorflow ? ["tensorflow"] : [];
