/**
 * The step of AdaMerging as a program: merge once, one forward over all tasks' examples, the objective per task, and the
 * gradient of the per-tensor coefficients. K task vectors, N merged tensors, T tasks with examples, B examples each.
 */
import type { Bundle } from "../checkpoint/bundle.js";
import { lookup } from "../engine/lookup.js";
import { addWeighted } from "../engine/ops/add-weighted.js";
import { valueAndGradients } from "../engine/ops/gradients.js";
import type { Program, TensorSource, TensorSpec } from "../engine/program.js";
import { type Tensor, tf } from "../engine/tf.js";
import { assert } from "../errors.js";
import { mergeableTensors } from "../merge/merged-weights.js";
import type { Model } from "../model/family.js";
import { applyHead, headFeatures, headSources, headSpecs } from "../model/head-program.js";
import type { Head } from "../model/heads.js";
import { type ModelWeights, plainWeights } from "../model/model-weights.js";
import { taskVectorParts } from "./task-vector-parts.js";

export interface StepProgramOptions {
  readonly bundle: Bundle;
  readonly model: Model;
  readonly heads: readonly Head[];
  readonly examplesPerTask: number;
  /** What the examples are padded to, for models with lengths. */
  readonly length?: number | undefined;
  /**
   * Scalar loss of one task from its logits [B, C] and, with `targets`, from its target probabilities [B, C]; from features [B, E] both where
   * targets are those.
   */
  readonly loss: (logitsBC: Tensor, targetsBC?: Tensor) => Tensor;
  /** What the step is given for its examples. Default: nothing. */
  readonly targets?: "none" | "probabilities" | "features";
  /** Weight of each task's loss in the minimised sum. */
  readonly taskWeight: number;
  /** The engine's, where it has one. */
  readonly maxTensorBytes?: number | undefined;
  /** Tensors of the heads that are learned, by the names of `headSpecs`: the step gives their gradients too. Default: none. */
  readonly learnedHeads?: readonly string[] | undefined;
}

/** What the losses of a step follow from, wherever its weights come from. */
type LossOptions = Omit<StepProgramOptions, "bundle" | "taskWeight" | "maxTensorBytes" | "learnedHeads">;

/** What the frozen tensors of a step follow from. */
export type FrozenOptions = Pick<StepProgramOptions, "bundle" | "heads" | "maxTensorBytes">;

export const STEP_INPUT_COEFFICIENTS = "coefficients";
const TARGETS = "targets/";
/** Name of a task's targets. */
export const stepTargets = (task: string): string => `${TARGETS}${task}`;
/** Whether the input of this name is some task's targets. */
export const isStepTargets = (name: string): boolean => name.startsWith(TARGETS);
export const STEP_OUTPUT_LOSSES = "task_losses";
export const STEP_OUTPUT_GRADIENT = "gradient";
/** Name of the output with the gradient of the input of this name. */
export const gradientName = (input: string): string => `gradient/${input}`;

/**
 * Inputs: `coefficients` float32 [N, K], those of the model for T * B examples in task order, with targets `targets/<task>` float32
 * [B, C] for each task. Outputs: `task_losses` [T] in the objective's unit,
 * `gradient` [N, K] of taskWeight * sum(task_losses), and `gradient/<tensor>` of it for every learned tensor of the heads.
 */
export function stepProgram(options: StepProgramOptions): Program {
  const { bundle, heads, taskWeight, learnedHeads = [] } = options;
  const merged = mergeableTensors(bundle);
  const tasks = bundle.tasks.length;
  return {
    name: "merge-step",
    frozen: stepSpecs(options),
    inputs: new Map<string, TensorSpec>([
      [STEP_INPUT_COEFFICIENTS, { shape: [merged.length, tasks], dtype: "float32" }],
      ...exampleInputs(options),
    ]),
    build: (tensors) => {
      const learned = [STEP_INPUT_COEFFICIENTS, ...learnedHeads];
      const losses = (...values: Tensor[]): Tensor => {
        const get = lookup(withValues(tensors, learned, values));
        return taskLosses(options, mergedWeights(options, get, first(values)), get);
      };
      const weightsT = tf.fill([heads.length], taskWeight);
      const { value, gradients } = valueAndGradients(losses, learned.map(lookup(tensors)), weightsT);
      return new Map([
        [STEP_OUTPUT_LOSSES, value],
        [STEP_OUTPUT_GRADIENT, first(gradients)],
        ...gradientOutputs(learnedHeads, gradients.slice(1)),
      ]);
    },
  };
}

/** The tensors of a program with `values` in place of those called `names`: what a gradient is taken in. */
export function withValues(
  tensors: ReadonlyMap<string, Tensor>,
  names: readonly string[],
  values: readonly Tensor[],
): ReadonlyMap<string, Tensor> {
  return new Map([...tensors, ...names.map((name, at): [string, Tensor] => [name, values[at] ?? tf.scalar(0)])]);
}

/** Gradients as outputs, by the names of what they are of. */
export function gradientOutputs(names: readonly string[], gradients: readonly Tensor[]): [string, Tensor][] {
  return gradients.map((gradient, at): [string, Tensor] => [gradientName(names[at] ?? ""), gradient]);
}

/** Files of the bundle's tensors and the heads' values, as `stepProgram` names them. */
export function stepSources({ bundle, heads, maxTensorBytes }: FrozenOptions): Map<string, TensorSource> {
  const sources = new Map<string, TensorSource>();
  for (const tensor of bundle.tensors) {
    sources.set(`base/${tensor.name}`, tensor.base);
    for (const { name, source } of taskVectorParts(bundle, tensor, maxTensorBytes)) sources.set(name, source);
    if (tensor.scales !== undefined) sources.set(`scales/${tensor.name}`, tensor.scales);
  }
  for (const [name, source] of headSources(heads)) sources.set(name, source);
  return sources;
}

/** Specs of the tensors that `stepSources` gives, by the same names. */
export function stepSpecs({ bundle, heads, maxTensorBytes }: FrozenOptions): Map<string, TensorSpec> {
  const specs = new Map<string, TensorSpec>();
  for (const tensor of bundle.tensors) {
    specs.set(`base/${tensor.name}`, { shape: tensor.shape, dtype: "float32" });
    for (const { name, spec } of taskVectorParts(bundle, tensor, maxTensorBytes)) specs.set(name, spec);
    if (tensor.scales !== undefined)
      specs.set(`scales/${tensor.name}`, { shape: [bundle.tasks.length], dtype: "float32" });
  }
  for (const [name, spec] of headSpecs(heads)) specs.set(name, spec);
  return specs;
}

/** Name of a tensor that is given as a model's weight, not merged in the graph. */
export const weightName = (name: string): string => `weights/${name}`;

/** The model's weights in a program that is given them by the names of `weightName`. */
export function givenWeights(get: (name: string) => Tensor): ModelWeights {
  return plainWeights((name) => get(weightName(name)));
}

/** Specs of a model's weights, by the names of `weightName`. */
export function weightSpecs({ tensors }: Pick<Model, "tensors">): [string, TensorSpec][] {
  return tensors.map(({ name, shape }) => [weightName(name), { shape, dtype: "float32" }]);
}

/** Values of a model's weights, by the names of `weightName`. */
export function weightSources(
  { tensors }: Pick<Model, "tensors">,
  weights: ReadonlyMap<string, Float32Array>,
): [string, TensorSource][] {
  return tensors.map(({ name }) => {
    const values = weights.get(name);
    assert(values !== undefined, `no weights for ${name}`);
    return [weightName(name), { kind: "memory", values }];
  });
}

/** The tensors of which programs merge only the rows that are asked for. */
export function tableNames({ tensors }: Pick<Model, "tensors">): ReadonlySet<string> {
  return new Set(tensors.flatMap(({ name, isTable }) => (isTable === true ? [name] : [])));
}

/** The model's weights, every tensor merged with its row of coefficients; of tables only the rows that are asked for. */
export function mergedWeights(
  { bundle, model, maxTensorBytes }: Omit<FrozenOptions, "heads"> & Pick<StepProgramOptions, "model">,
  get: (name: string) => Tensor,
  coefficientsNK: Tensor,
): ModelWeights {
  const tables = tableNames(model);
  const rowsOfCoefficients = tf.unstack(coefficientsNK, 0);
  const weights = new Map<string, Tensor>();
  const lazy = new Map<string, (numbers: Tensor) => Tensor>();
  let row = 0;
  for (const tensor of bundle.tensors) {
    const { name, scales } = tensor;
    const parts = taskVectorParts(bundle, tensor, maxTensorBytes);
    const coefficientsK = parts.length === 0 ? undefined : rowsOfCoefficients[row++];
    const merged = (some: (values: Tensor, axis: number) => Tensor): Tensor => {
      let sum = some(get(`base/${name}`), 0);
      if (parts.length === 0) return sum;
      assert(coefficientsK !== undefined, "fewer coefficient rows than merged tensors");
      const weightsK = scales === undefined ? coefficientsK : tf.mul(coefficientsK, get(`scales/${name}`));
      for (const { name: part, from, to } of parts) {
        const own = parts.length === 1 ? weightsK : tf.slice(weightsK, [from], [to - from]);
        sum = addWeighted(sum, some(get(part), 1), own);
      }
      return sum;
    };
    if (tables.has(name)) lazy.set(name, (numbers) => merged((values, axis) => tf.gather(values, numbers, axis)));
    else
      weights.set(
        name,
        merged((values) => values),
      );
  }
  return {
    get: lookup(weights),
    rows: (name, numbers) => {
      const rows = lazy.get(name);
      assert(rows !== undefined, `no table ${name} in this program`);
      return rows(numbers);
    },
  };
}

/** Inputs of a step: those of the model for T * B examples in task order, and the targets where the objective has them. */
export function exampleInputs({ model, heads, examplesPerTask, length, targets }: LossOptions): [string, TensorSpec][] {
  const given = targets === undefined || targets === "none" ? [] : heads;
  return [
    ...model.inputs(heads.length * examplesPerTask, length),
    ...given.map(({ task, classes, featureSize }): [string, TensorSpec] => [
      stepTargets(task),
      { shape: [examplesPerTask, targets === "features" ? featureSize : classes], dtype: "float32" },
    ]),
  ];
}

/** The objective [T] of the model with these weights: one forward over all tasks' examples. */
export function taskLosses(
  { model, heads, examplesPerTask, targets = "none", loss }: LossOptions,
  weights: ModelWeights,
  get: (name: string) => Tensor,
): Tensor {
  const features = model.features(weights, get);
  return tf.stack(
    heads.map((head, index) => {
      const output =
        targets === "features"
          ? headFeatures(head, taskFeatures(head, index, examplesPerTask, features), get)
          : taskLogits(head, index, examplesPerTask, features, get);
      return targets === "none" ? loss(output) : loss(output, get(stepTargets(head.task)));
    }),
  );
}

/** Logits [B, C] of the examples of one task, out of the features of all. */
export function taskLogits(
  head: Head,
  index: number,
  examplesPerTask: number,
  features: Tensor,
  get: (name: string) => Tensor,
): Tensor {
  return applyHead(head, taskFeatures(head, index, examplesPerTask, features), get);
}

/** Features [B, E] of the examples of one task, out of those of all. */
function taskFeatures({ featureSize }: Head, index: number, examplesPerTask: number, features: Tensor): Tensor {
  return tf.slice(features, [index * examplesPerTask, 0], [examplesPerTask, featureSize]);
}

function first(tensors: readonly Tensor[]): Tensor {
  const tensor = tensors[0];
  assert(tensor !== undefined, "tfjs returned no gradient");
  return tensor;
}
