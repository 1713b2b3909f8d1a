/** What a parametrisation holds in memory besides a step of scalar coefficients: counted from shapes, before anything is opened. */
import type { TensorSpec } from "../../engine/program.js";
import { sizeOf } from "../../engine/program.js";
import { SUMMED_GRADIENT_BYTES } from "../micro-batches.js";
import type { Parametrisation } from "./parametrisation.js";
import { MOST_FLOAT64_PARAMETERS } from "./parametrised-weights.js";

const FLOAT32_BYTES = 4;
const FLOAT64_BYTES = 8;
/** Merged weights here; gradients here and in the engine. The engine's weights are part of every step. */
const WEIGHT_COPIES = 3;
/** Parameters and Adam's two moments. */
const STATE_ARRAYS = 3;

/** What else is held. */
export interface LearningMemory {
  readonly isSplit: boolean;
  readonly isLater?: boolean;
  readonly keepsBest?: boolean;
}

/**
 * Bytes for a model of these tensors and tasks; `isSplit` where a step may run in several passes, `isLater` where a stage starts from weights that
 * it keeps, `keepsBest` where the parameters of the best step are kept too. 0 for scalar coefficients.
 */
export function parametrisationBytes(
  parametrisation: Parametrisation | undefined,
  tensors: readonly Pick<TensorSpec, "shape">[],
  tasks: number,
  { isSplit, isLater = false, keepsBest = false }: LearningMemory,
): number {
  if (parametrisation === undefined) return 0;
  let [weights, parameters, kept, largest] = [0, 0, 0, 0];
  for (const { shape } of tensors) {
    const own = parametrisation.size({ shape, tasks });
    weights += sizeOf(shape);
    parameters += own;
    kept += parametrisation.kept?.({ shape, tasks }) ?? 0;
    // A tensor with its task vectors, the gradient of its parameters, and what the form computes with.
    const floats = sizeOf(shape) * (1 + tasks) + (parametrisation.working?.({ shape, tasks }) ?? 0);
    largest = Math.max(largest, FLOAT32_BYTES * floats + FLOAT64_BYTES * own);
  }
  // Merged weights, and in a first stage those that they were made as: no gradients.
  if (parameters === 0) return 2 * FLOAT32_BYTES * weights + largest;
  const bytesEach = parameters > MOST_FLOAT64_PARAMETERS ? FLOAT32_BYTES : FLOAT64_BYTES;
  const copies = WEIGHT_COPIES + (isLater ? 1 : 0);
  const perWeight = copies * FLOAT32_BYTES + (isSplit ? SUMMED_GRADIENT_BYTES : 0);
  const arrays = STATE_ARRAYS + (keepsBest ? 1 : 0);
  return perWeight * weights + arrays * bytesEach * parameters + FLOAT32_BYTES * kept + largest;
}
