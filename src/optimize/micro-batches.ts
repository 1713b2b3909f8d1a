/**
 * A step in several passes: each sees an equal part of every task's examples, and losses and gradients are averaged in float64. Since losses
 * are means over examples, that is the whole step's result but for rounding. T tasks, B examples of each in the whole step, S passes.
 */
import type { Executable, TensorValues } from "../engine/program.js";
import { assert } from "../errors.js";
import { isStepTargets, STEP_INPUT_COEFFICIENTS } from "./step-program.js";

/** `pass` is compiled for B / S examples of each task; the result takes the inputs of the whole step. */
export function microBatched(pass: Executable, tasks: number, passes: number): Executable {
  if (passes === 1) return pass;
  return {
    ...pass,
    run: async (inputs) => {
      const sums = new Map<string, Float64Array>();
      for (let index = 0; index < passes; index++) {
        const outputs = await pass.run(
          new Map([...inputs].map(([name, values]) => [name, partOf(name, values, index)])),
        );
        for (const [name, values] of outputs) {
          const sum = sums.get(name) ?? new Float64Array(values.length);
          for (const [position, value] of values.entries()) sum[position] = (sum[position] ?? 0) + value / passes;
          sums.set(name, sum);
        }
      }
      return new Map([...sums].map(([name, sum]) => [name, Float32Array.from(sum)]));
    },
  };

  function partOf(name: string, values: TensorValues, index: number): TensorValues {
    if (name === STEP_INPUT_COEFFICIENTS) return values;
    // Examples lie task after task; targets are of one task each.
    const blocks = isStepTargets(name) ? 1 : tasks;
    const block = values.length / blocks;
    const part = block / passes;
    assert(Number.isInteger(part), `${name} cannot be split into ${passes} parts`);
    const result = values.slice(0, blocks * part);
    for (let at = 0; at < blocks; at++)
      result.set(values.subarray(at * block + index * part, at * block + (index + 1) * part), at * part);
    return result;
  }
}
