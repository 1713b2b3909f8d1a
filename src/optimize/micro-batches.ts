/**
 * A step in several passes: each sees an equal part of every task's examples, and losses and gradients are averaged in
 * float64. Since losses are means over examples, that is the whole step's result but for rounding. Of fits and of
 * fine-tunings alike. S passes.
 */
import type { Executable, SharedFloats, TensorValues } from "../engine/program.js";
import { assert } from "../errors.js";
import { isStepTargets, STEP_INPUT_COEFFICIENTS } from "./step-program.js";

/** Of each value of a gradient, in a step of several passes: its sum. */
export const SUMMED_GRADIENT_BYTES = Float64Array.BYTES_PER_ELEMENT;

/**
 * `pass` is compiled for a part of the examples; the result takes the inputs of the whole step, in which each task has
 * as many as `examples` says, one task behind the other. All of them must divide into `passes`. `ofSome`: the same for
 * inputs that not all examples have.
 */
export function microBatched(
  pass: Executable,
  examples: readonly number[],
  passes: number,
  ofSome: ReadonlyMap<string, readonly number[]> = new Map(),
): Executable {
  if (passes === 1) return pass;
  assert(
    examples.every((count) => count % passes === 0),
    `${examples.join(", ")} examples cannot be split into ${passes} parts`,
  );
  return {
    ...pass,
    run: async (inputs, into) => {
      const sums = new Map<string, Float64Array>();
      for (let index = 0; index < passes; index++) {
        const part = new Map([...inputs].map(([name, values]) => [name, partOf(name, values, index)]));
        for (const [name, values] of await pass.run(part, into)) {
          const sum = sums.get(name) ?? new Float64Array(values.length);
          for (let at = 0; at < sum.length; at++) sum[at] = (sum[at] ?? 0) + (values[at] ?? 0) / passes;
          sums.set(name, sum);
        }
      }
      return new Map([...sums].map(([name, sum]) => [name, rounded(sum, into?.get(name))]));
    },
  };

  function partOf(name: string, values: TensorValues, index: number): TensorValues {
    if (name === STEP_INPUT_COEFFICIENTS) return values;
    // Examples lie task after task; targets are of one task each.
    const blocks = isStepTargets(name) ? [1] : (ofSome.get(name) ?? examples);
    const each = values.length / blocks.reduce((sum, count) => sum + count, 0);
    const result = values.slice(0, values.length / passes);
    let [from, to] = [0, 0];
    for (const count of blocks) {
      const part = (count * each) / passes;
      assert(Number.isInteger(part), `${name} cannot be split into ${passes} parts`);
      result.set(values.subarray(from + index * part, from + (index + 1) * part), to);
      from += count * each;
      to += part;
    }
    return result;
  }
}

/** In the memory that was given for it, or in new. */
function rounded(sum: Float64Array, into: SharedFloats | undefined): Float32Array {
  if (into === undefined) return Float32Array.from(sum);
  into.set(sum);
  return into;
}
