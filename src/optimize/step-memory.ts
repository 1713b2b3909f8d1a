/**
 * How much memory a step takes, and into how many micro-batches it is split to keep inside a budget. An estimate from the model's
 * dimensions, so that the split is the same wherever a run is resumed: another split is another rounding.
 * Checked against measured peaks by `npm run bench -- step`.
 */
import { ConfigError } from "../errors.js";
import type { Model } from "../model/family.js";

const BYTES = 4;
/** Node, ONNX Runtime and the examples of a small suite. */
const PROCESS_BYTES = 300e6;

export interface StepSize {
  readonly model: Pick<Model, "tensors" | "valuesPerExample" | "lengths">;
  readonly tasks: number;
  readonly examples: number;
  /** Of the model's lengths, the longest that steps take; the last one if absent. */
  readonly longest?: number | undefined;
  /** Whether task vectors are widened from float16 in the step. */
  readonly isHalf: boolean;
  /** What learning holds besides a step, e.g. parameters outside the graph; none if absent. */
  readonly besidesBytes?: number | undefined;
  /** What a person may do besides raising the budget, for the error. */
  readonly instead?: string | undefined;
}

/** Estimated peak of anonymous memory of a process that runs the step, in bytes; mapped task vectors are not in it. */
export function estimateStepBytes({ model, tasks, examples, longest, isHalf, besidesBytes = 0 }: StepSize): number {
  const sizes = model.tensors.map(({ shape }) => shape.reduce((product, dim) => product * dim, 1));
  const parameters = sizes.reduce((sum, size) => sum + size, 0);
  const largest = Math.max(...sizes);
  // The largest tensor's product, its gradient and, widened, the task vectors beside it.
  const merging = parameters + largest * (3 + (isHalf ? tasks : 0));
  return PROCESS_BYTES + besidesBytes + BYTES * (merging + examples * valuesPerExample(model, longest));
}

/** A program keeps the memory of its largest run, and each length up to the longest has a program of its own. */
function valuesPerExample({ valuesPerExample: of, lengths }: StepSize["model"], longest?: number): number {
  if (lengths === undefined) return of();
  const used = lengths.filter((length) => length <= (longest ?? Number.POSITIVE_INFINITY));
  return used.reduce((sum, length) => sum + of(length), 0);
}

/**
 * The smallest number of equal micro-batches of whose steps each fits into `budgetBytes`; 1 without a budget (0). Throws ConfigError when even one
 * example per task does not fit.
 */
export function microBatches(
  budgetBytes: number,
  examplesPerTask: number,
  size: Omit<StepSize, "examples"> & { readonly adaptedTasks: number },
): number {
  if (budgetBytes === 0) return 1;
  const bytesOf = (splits: number): number =>
    estimateStepBytes({ ...size, examples: (examplesPerTask / splits) * size.adaptedTasks });
  for (let splits = 1; splits <= examplesPerTask; splits++)
    if (examplesPerTask % splits === 0 && bytesOf(splits) <= budgetBytes) return splits;
  const least = Math.ceil(bytesOf(examplesPerTask) / 1e7) / 100;
  throw new ConfigError(
    `memory_gb: expected at least ${least} for a step with one example of each of ${size.adaptedTasks} tasks, ` +
      `found ${budgetBytes / 1e9}. Raise it, ${size.instead ?? "merge fewer tasks"}, or set it to 0 for no limit`,
  );
}
