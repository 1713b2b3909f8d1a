/**
 * Where a step left the finite numbers: which merged tensor, or which part of the model for which tasks. Compiled and run only after a
 * loss came out as NaN or infinite, with the inputs of that step; the gradient cannot tell, since NaN reaches all of it.
 * K task vectors, N merged tensors, P parts, T tasks with examples, B examples each.
 */

import { lookup } from "../engine/lookup.js";
import type { Engine, Program, TensorSource, TensorSpec, TensorValues } from "../engine/program.js";
import { type Tensor, tf } from "../engine/tf.js";
import { assert } from "../errors.js";
import { mergeableTensors } from "../merge/merged-weights.js";
import { headSpecs } from "../model/head-program.js";
import { lengthOf } from "./by-length.js";
import { microBatched } from "./micro-batches.js";
import {
  givenWeights,
  isStepTargets,
  mergedWeights,
  STEP_INPUT_COEFFICIENTS,
  type StepProgramOptions,
  stepSources,
  stepSpecs,
  tableNames,
  taskLogits,
  weightName,
  weightSpecs,
} from "./step-program.js";
import { weightStepSources } from "./weight-step.js";

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
  suspect: SuspectStep,
  inputs: ReadonlyMap<string, TensorValues>,
  examples = "examples",
): Promise<string> {
  const coefficientsNK = inputs.get(STEP_INPUT_COEFFICIENTS);
  assert(coefficientsNK instanceof Float32Array, "a step without coefficients");
  const { options } = suspect;
  const { parts, outputs } = await runProbe(suspect, inputs, stepSources(options), false);
  return describe(options, parts, outputs, { coefficientsNK, examples });
}

/** The same of a step whose merged tensors are given, by name, and not merged in its graph (weight-step.ts). */
export async function locateNonFiniteWeights(
  suspect: SuspectStep,
  merged: ReadonlyMap<string, Float32Array>,
  inputs: ReadonlyMap<string, TensorValues>,
  examples = "examples",
): Promise<string> {
  for (const [name, mergedS] of merged) {
    const bad = mergedS.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) return `the merged tensor ${name} is ${mergedS[bad]} at element ${bad}`;
  }
  const given = [...merged].map(([name, values]) => [weightName(name), { kind: "memory", values }] as const);
  const sources = new Map<string, TensorSource>([...weightStepSources(suspect.options), ...given]);
  const { parts, outputs } = await runProbe(suspect, inputs, sources, true);
  return describe(suspect.options, parts, outputs, { examples });
}

/** Compiles the probe, runs it and lets it go. */
async function runProbe(
  { engine, options, passes }: SuspectStep,
  inputs: ReadonlyMap<string, TensorValues>,
  sources: ReadonlyMap<string, TensorSource>,
  isGiven: boolean,
): Promise<{ readonly parts: readonly string[]; readonly outputs: ReadonlyMap<string, Float32Array> }> {
  const parts: string[] = [];
  const { heads, model, examplesPerTask } = options;
  const wanted = new Map([...inputs].filter(([name]) => !isStepTargets(name)));
  const examples = heads.map(() => examplesPerTask * passes);
  const length = lengthOf(model, heads.length * examplesPerTask * passes, wanted);
  const probe = await engine.compile(probeProgram({ ...options, length }, parts, isGiven));
  try {
    await probe.bind(sources);
    return { parts, outputs: await microBatched(probe, examples, passes).run(wanted) };
  } finally {
    await probe.close();
  }
}

function describe(
  { bundle, heads, model }: SuspectStep["options"],
  parts: readonly string[],
  outputs: ReadonlyMap<string, Float32Array>,
  { coefficientsNK, examples }: { readonly coefficientsNK?: Float32Array; readonly examples: string },
): string {
  const isBad = (value: number): boolean => !Number.isFinite(value);
  const largestIn = (prefix: string): string =>
    coefficientsNK === undefined
      ? ""
      : largestCoefficient(prefix, mergeableTensors(bundle), bundle.tasks, coefficientsNK);
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
 * `parts` [P, T] in the order of the computation. Fills `parts` with the names of the parts when it is built. `isGiven`: by the weights of
 * weight-step.ts, not by coefficients.
 */
function probeProgram(
  options: Omit<StepProgramOptions, "loss" | "taskWeight">,
  parts: string[],
  isGiven: boolean,
): Program {
  const { bundle, model, heads, examplesPerTask, length } = options;
  const coefficients: TensorSpec = {
    shape: [mergeableTensors(bundle).length, bundle.tasks.length],
    dtype: "float32",
  };
  return {
    name: "non-finite-probe",
    frozen: isGiven ? new Map([...weightSpecs(model), ...headSpecs(heads)]) : stepSpecs(options),
    inputs: new Map<string, TensorSpec>([
      ...(isGiven ? [] : [[STEP_INPUT_COEFFICIENTS, coefficients] as const]),
      ...model.inputs(heads.length * examplesPerTask, length),
    ]),
    build: (tensors) => {
      const get = lookup(tensors);
      const weights = isGiven ? givenWeights(get) : mergedWeights(options, get, get(STEP_INPUT_COEFFICIENTS));
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
