/**
 * Where a step left the finite numbers: which merged tensor, or which part of the model for which tasks. Compiled and run only after a
 * loss came out as NaN or infinite, with the inputs of that step; the gradient cannot tell, since NaN reaches all of it.
 * K task vectors, N merged tensors, P parts, T tasks with examples, B examples each.
 */

import { lookup } from "../engine/lookup.js";
import type { Engine, Program, TensorSpec, TensorValues } from "../engine/program.js";
import { type Tensor, tf } from "../engine/tf.js";
import { assert } from "../errors.js";
import { mergeableTensors } from "../merge/merged-weights.js";
import { lengthOf } from "./by-length.js";
import { microBatched } from "./micro-batches.js";
import {
  isStepTargets,
  mergedWeights,
  STEP_INPUT_COEFFICIENTS,
  type StepProgramOptions,
  stepSources,
  stepSpecs,
  tableNames,
  taskLogits,
} from "./step-program.js";

const OUTPUT_WEIGHTS = "weights";
const OUTPUT_PARTS = "parts";

/** The step under suspicion: what its program was made of, and how many passes it takes. */
export interface SuspectStep {
  readonly engine: Engine;
  readonly options: Omit<StepProgramOptions, "loss" | "taskWeight" | "targets" | "length">;
  readonly passes: number;
}

/**
 * A sentence that says where the numbers stop to be finite in a step with these inputs (coefficients [N, K] and examples), and which
 * coefficient there is the largest. `examples`: what they are, for people ("images", "texts").
 */
export async function locateNonFinite(
  { engine, options, passes }: SuspectStep,
  inputs: ReadonlyMap<string, TensorValues>,
  examples = "examples",
): Promise<string> {
  const parts: string[] = [];
  const { heads, model, examplesPerTask } = options;
  const wanted = new Map([...inputs].filter(([name]) => !isStepTargets(name)));
  const length = lengthOf(model, heads.length * examplesPerTask * passes, wanted);
  const probe = await engine.compile(probeProgram({ ...options, length }, parts));
  try {
    await probe.bind(stepSources(options));
    const outputs = await microBatched(probe, heads.length, passes).run(wanted);
    const coefficientsNK = inputs.get(STEP_INPUT_COEFFICIENTS);
    assert(coefficientsNK instanceof Float32Array, "a step without coefficients");
    return describe(options, parts, outputs, { coefficientsNK, examples });
  } finally {
    await probe.close();
  }
}

function describe(
  { bundle, heads, model }: SuspectStep["options"],
  parts: readonly string[],
  outputs: ReadonlyMap<string, Float32Array>,
  { coefficientsNK, examples }: { readonly coefficientsNK: Float32Array; readonly examples: string },
): string {
  const isBad = (value: number): boolean => !Number.isFinite(value);
  const largestIn = (prefix: string): string =>
    largestCoefficient(prefix, mergeableTensors(bundle), bundle.tasks, coefficientsNK);
  const tensor = wholeTensors({ bundle, model })[outputs.get(OUTPUT_WEIGHTS)?.findIndex(isBad) ?? -1];
  if (tensor !== undefined) return `the merged tensor ${tensor} is not finite${largestIn(tensor)}`;
  const badPT = outputs.get(OUTPUT_PARTS) ?? new Float32Array();
  const first = badPT.findIndex(isBad);
  if (first < 0) return "all layers are finite, the objective is not";
  const part = Math.floor(first / heads.length);
  const tasks = heads.filter((_, task) => isBad(badPT[part * heads.length + task] ?? 0)).map(({ task }) => task);
  const name = parts[part] ?? "";
  return `the numbers are not finite from ${name} on, for the ${examples} of ${tasks.join(", ")}${largestIn(name)}`;
}

/** The largest coefficient of the tensors whose names begin with `prefix`, for the end of a sentence; nothing where no tensor does. */
function largestCoefficient(
  prefix: string,
  tensors: readonly string[],
  tasks: readonly string[],
  coefficientsNK: Float32Array,
): string {
  let largest: { value: number; at: string } | undefined;
  for (const [row, name] of tensors.entries()) {
    if (!name.startsWith(prefix)) continue;
    for (const [k, task] of tasks.entries()) {
      const value = coefficientsNK[row * tasks.length + k] ?? 0;
      if (largest === undefined || !(Math.abs(value) <= Math.abs(largest.value)))
        largest = { value, at: `task ${task}, ${name}` };
    }
  }
  return largest === undefined
    ? ""
    : `; the largest coefficient there is ${largest.value.toPrecision(3)} (${largest.at})`;
}

/**
 * The forward pass of a step, with 0 for what is finite and NaN for what is not: `weights`, one of every tensor of the bundle, and
 * `parts` [P, T] in the order of the computation. Fills `parts` with the names of the parts when it is built.
 */
function probeProgram(options: Omit<StepProgramOptions, "loss" | "taskWeight">, parts: string[]): Program {
  const { bundle, model, heads, examplesPerTask, length } = options;
  return {
    name: "non-finite-probe",
    frozen: stepSpecs(options),
    inputs: new Map<string, TensorSpec>([
      [STEP_INPUT_COEFFICIENTS, { shape: [mergeableTensors(bundle).length, bundle.tasks.length], dtype: "float32" }],
      ...model.inputs(heads.length * examplesPerTask, length),
    ]),
    build: (tensors) => {
      const get = lookup(tensors);
      const weights = mergedWeights(options, get, get(STEP_INPUT_COEFFICIENTS));
      const rows: Tensor[] = [];
      const observe = (part: string, values: Tensor): void => {
        parts.push(part);
        rows.push(markPerTask(values, heads.length));
      };
      const features = model.features(weights, get, { part: observe });
      parts.push("the heads");
      rows.push(
        tf.concat(heads.map((head, index) => markPerTask(taskLogits(head, index, examplesPerTask, features, get), 1))),
      );
      return new Map([
        [OUTPUT_WEIGHTS, tf.concat(wholeTensors(options).map((name) => markPerTask(weights.get(name), 1)))],
        [OUTPUT_PARTS, tf.stack(rows)],
      ]);
    },
  };
}

/** Those of the bundle that are merged whole. What is not finite in a table shows in the first part that looks up its rows. */
function wholeTensors({ bundle, model }: Pick<SuspectStep["options"], "bundle" | "model">): readonly string[] {
  const tables = tableNames(model);
  return bundle.tensors.flatMap(({ name }) => (tables.has(name) ? [] : [name]));
}

/** [T]: 0 for each task whose part of the values is finite, NaN for the others; x - x is 0 for finite numbers alone. */
function markPerTask(values: Tensor, tasks: number): Tensor {
  const flat = tf.reshape(values, [tasks, values.size / tasks]);
  return tf.sum(tf.sub(flat, flat), 1);
}
