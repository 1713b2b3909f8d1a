/**
 * How much memory a step takes, and into how many micro-batches it is split to keep inside a budget. An estimate from the tower's
 * dimensions, so that the split is the same wherever a run is resumed: another split is another rounding.
 * Checked against measured peaks by `npm run bench -- step`. T tokens, D width, I inner width, H heads.
 */
import { ConfigError } from "../errors.js";
import type { ClipVisionConfig } from "../model/clip-config.js";
import { clipVisionTensors } from "../model/clip-vision.js";

const BYTES = 4;
/** Node, ONNX Runtime and the decoded images of a small suite. */
const PROCESS_BYTES = 300e6;
/** Values of one token that a layer keeps for its gradient: sums, normalised values, queries, keys, values, outputs (13 D), the MLP (2 I). */
const KEPT_WIDTHS = 13;
const KEPT_INNER_WIDTHS = 2;
/** Values of one token in the layer under way, backwards: the slopes of the MLP. */
const PASSING_INNER_WIDTHS = 4;

export interface StepSize {
  readonly config: ClipVisionConfig;
  readonly tasks: number;
  readonly images: number;
  /** Whether task vectors are widened from float16 in the step. */
  readonly isHalf: boolean;
}

/** Estimated peak of anonymous memory of a process that runs the step, in bytes; mapped task vectors are not in it. */
export function estimateStepBytes({ config, tasks, images, isHalf }: StepSize): number {
  const { hiddenSize, intermediateSize, heads, layers, imageSize, patchSize, channels } = config;
  const sizes = clipVisionTensors(config).map(({ shape }) => shape.reduce((product, dim) => product * dim, 1));
  const parameters = sizes.reduce((sum, size) => sum + size, 0);
  const largest = Math.max(...sizes);
  const tokens = Math.floor(imageSize / patchSize) ** 2 + 1;
  const kept = KEPT_WIDTHS * hiddenSize + KEPT_INNER_WIDTHS * intermediateSize + heads * tokens;
  const passing = PASSING_INNER_WIDTHS * intermediateSize + 2 * heads * tokens;
  const perImage = tokens * (layers * kept + passing) + 3 * channels * imageSize ** 2;
  // The largest tensor's product, its gradient and, widened, the task vectors beside it.
  const merging = parameters + largest * (3 + (isHalf ? tasks : 0));
  return PROCESS_BYTES + BYTES * (merging + images * perImage);
}

/**
 * The smallest number of equal micro-batches of whose steps each fits into `budgetBytes`; 1 without a budget (0). Throws ConfigError when even one
 * image per task does not fit.
 */
export function microBatches(
  budgetBytes: number,
  imagesPerTask: number,
  size: Omit<StepSize, "images"> & { readonly adaptedTasks: number },
): number {
  if (budgetBytes === 0) return 1;
  const bytesOf = (splits: number): number =>
    estimateStepBytes({ ...size, images: (imagesPerTask / splits) * size.adaptedTasks });
  for (let splits = 1; splits <= imagesPerTask; splits++)
    if (imagesPerTask % splits === 0 && bytesOf(splits) <= budgetBytes) return splits;
  const least = Math.ceil(bytesOf(imagesPerTask) / 1e7) / 100;
  throw new ConfigError(
    `memory_gb: expected at least ${least} for a step with one image of each of ${size.adaptedTasks} tasks, ` +
      `found ${budgetBytes / 1e9}. Raise it, merge fewer tasks, or set it to 0 for no limit`,
  );
}
