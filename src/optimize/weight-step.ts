/**
 * The step of a fit whose merged weights are made outside the graph: one forward over all tasks' examples, the objective per task, and
 * G = dL/dW of every merged tensor at the merged weights. Not the step of scalar coefficients, which contracts G inside its graph
 * (step-program.ts). T tasks with examples, B examples each, S elements of one tensor.
 */
import { lookup } from "../engine/lookup.js";
import { valueAndGradients } from "../engine/ops/gradients.js";
import type { Executable, Program, SharedFloats, TensorSource, TensorValues } from "../engine/program.js";
import { type Tensor, tf } from "../engine/tf.js";
import { assert } from "../errors.js";
import { mergeableTensors } from "../merge/merged-weights.js";
import { headSources, headSpecs } from "../model/head-program.js";
import {
  exampleInputs,
  givenWeights,
  gradientName,
  gradientOutputs,
  STEP_OUTPUT_LOSSES,
  type StepProgramOptions,
  taskLosses,
  weightName,
  weightSpecs,
  withValues,
} from "./step-program.js";

/** What `weightStepProgram` is made of. */
export type WeightStepOptions = Omit<StepProgramOptions, "maxTensorBytes"> & {
  /** Whether the gradients of merged tensors are wanted, not those of learned heads alone. Default: they are. */
  readonly learnsWeights?: boolean | undefined;
};

/**
 * Frozen: `weights/<name>` for every tensor of the model, bound again after each update, and the heads. Inputs: those of the model for T * B
 * examples in task order, with targets `targets/<task>` float32 [B, C]. Outputs: `task_losses` [T] in the objective's unit and
 * `gradient/weights/<name>` of taskWeight * sum(task_losses) for every merged tensor, and the same for every learned tensor of the heads.
 */
export function weightStepProgram(options: WeightStepOptions): Program {
  const { bundle, model, heads, taskWeight, learnsWeights = true, learnedHeads = [] } = options;
  const learned = [...(learnsWeights ? mergeableTensors(bundle).map(weightName) : []), ...learnedHeads];
  return {
    name: "weight-step",
    frozen: new Map([...weightSpecs(model), ...headSpecs(heads)]),
    inputs: new Map(exampleInputs(options)),
    build: (tensors) => {
      const losses = (...values: Tensor[]): Tensor => {
        const get = lookup(withValues(tensors, learned, values));
        return taskLosses(options, givenWeights(get), get);
      };
      const weightsT = tf.fill([heads.length], taskWeight);
      const { value, gradients } = valueAndGradients(losses, learned.map(lookup(tensors)), weightsT);
      return new Map([[STEP_OUTPUT_LOSSES, value], ...gradientOutputs(learned, gradients)]);
    },
  };
}

/** The heads and every tensor that no expert changed, as `weightStepProgram` names them: bound once. */
export function weightStepSources({ bundle, heads }: Pick<WeightStepOptions, "bundle" | "heads">) {
  const sources = new Map<string, TensorSource>(headSources(heads));
  for (const { name, base, taskVectors } of bundle.tensors)
    if (taskVectors === undefined) sources.set(weightName(name), base);
  return sources;
}

/** Losses [T] and, by the names of merged tensors, their gradients; all that the step gave, for those of heads. */
export interface WeightGradients {
  readonly lossesT: Float32Array;
  readonly gradients: ReadonlyMap<string, Float32Array>;
  readonly outputs: ReadonlyMap<string, Float32Array>;
}

/**
 * Runs the compiled step at these merged weights; those that are bound already may be left out. `into` are arrays that gradients may be written to,
 * for all tensors whose gradients the step gives.
 */
export async function runWeightStep(
  step: Executable,
  weights: ReadonlyMap<string, SharedFloats>,
  inputs: ReadonlyMap<string, TensorValues>,
  into: ReadonlyMap<string, SharedFloats>,
): Promise<WeightGradients> {
  await step.bind(new Map([...weights].map(([name, values]) => [weightName(name), { kind: "memory", values }])));
  const outputs = await step.run(
    inputs,
    new Map([...into].map(([name, values]) => [gradientName(weightName(name)), values])),
  );
  const lossesT = outputs.get(STEP_OUTPUT_LOSSES);
  assert(lossesT !== undefined, "the compiled step lacks its losses");
  const gradients = new Map<string, Float32Array>();
  for (const name of into.keys()) {
    const gradientS = outputs.get(gradientName(weightName(name)));
    assert(gradientS !== undefined, `the compiled step lacks the gradient of ${name}`);
    gradients.set(name, gradientS);
  }
  return { lossesT, gradients, outputs };
}
