/** Losses and gradients of a step that are not finite: which tasks', where the numbers left the finite ones, and what is kept. */
import type { ExampleValues } from "../data/examples.js";
import { NumericError } from "../errors.js";

/** A loss that is not finite: what the parameters under judgement are worth. */
export class LossError extends NumericError {}

export interface LossCheck {
  /** In the order of the losses. */
  readonly adaptedTasks: readonly string[];
  /** Says in a sentence where a step with these inputs leaves the finite numbers; asked after a loss that is not finite. */
  readonly locateNonFinite?: (inputs: ReadonlyMap<string, ExampleValues>) => Promise<string>;
  /** A sentence: what of the fit is kept, and what to do. */
  readonly advice: string;
}

/** Throws LossError for losses [T] that are not finite. */
export async function checkLosses(
  { adaptedTasks, locateNonFinite, advice }: LossCheck,
  step: number,
  losses: Float32Array,
  inputs: ReadonlyMap<string, ExampleValues>,
): Promise<void> {
  const bad = adaptedTasks.filter((_, task) => !Number.isFinite(losses[task]));
  const [first] = bad;
  if (first === undefined) return;
  const others = bad.length > 1 ? ` (and of ${bad.slice(1).join(", ")})` : "";
  const place = await locateNonFinite?.(inputs).catch(
    (error: unknown) => `the layer was not found (${error instanceof Error ? error.message : String(error)})`,
  );
  throw new LossError(
    `step ${step}: the loss of task ${first}${others} is ${losses[adaptedTasks.indexOf(first)]}${place === undefined ? "" : `: ${place}`}. ${advice}`,
  );
}

/**
 * Throws NumericError for gradients, by what they are of, that are not finite. Asked before anything is moved: what is kept after a failure is the
 * state before the step. `advice`: what to do, a sentence without its full stop.
 */
export function requireFiniteGradients(
  step: number,
  gradients: Iterable<readonly [name: string, values: Float32Array]>,
  advice?: string,
): void {
  for (const [name, values] of gradients) {
    const bad = values.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0)
      throw new NumericError(
        `step ${step}: the gradient of ${name} is ${values[bad]} at element ${bad}; what was learned until step ${step - 1} is kept${advice === undefined ? "" : `. ${advice}`}`,
      );
  }
}
