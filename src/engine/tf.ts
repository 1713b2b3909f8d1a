/**
 * TensorFlow.js as models and objectives are written in it: the operations that compiled programs have, by types of our own (`operations.ts`), which
 * tsc checks against tfjs's here. What extends tfjs or manages its memory imports `tfjs.ts` instead.
 */
import type { Operations } from "./operations.js";
import { tfjs } from "./tfjs.js";

/** The operations of TensorFlow.js that models and objectives may be made of: those that can be compiled. */
export const tf: Operations = tfjs;
export type { DataType, Operations, Tensor, TensorInfo, TensorLike } from "./operations.js";
