/** Heads inside programs: their frozen tensors by name, and their logits. B examples, C classes, E features, H width of a hidden layer. */

import { linear } from "../engine/ops/linear.js";
import type { TensorSource, TensorSpec } from "../engine/program.js";
import { type Tensor, tf } from "../engine/tf.js";
import { type Head, headLogits } from "./heads.js";

const at = (task: string, part: string): string => `head/${task}/${part}`;

/** What of a head decides the shapes of its tensors. */
type HeadShape = Pick<Head, "task" | "classes" | "featureSize" | "hidden">;

/** Specs of the heads' tensors: `head/<task>/weight` [C, E] and `head/<task>/bias` [C], with a hidden layer `head/<task>/hidden/weight` [H, E] and `.../bias` [H]. */
export function headSpecs(heads: readonly HeadShape[]): [string, TensorSpec][] {
  const spec = (task: string, part: string, ...shape: number[]): [string, TensorSpec] => [
    at(task, part),
    { shape, dtype: "float32" },
  ];
  return heads.flatMap(({ task, classes, featureSize, hidden }) => [
    ...(hidden === undefined ? [] : [spec(task, "hidden/weight", hidden.size, featureSize)]),
    ...(hidden === undefined ? [] : [spec(task, "hidden/bias", hidden.size)]),
    spec(task, "weight", classes, hidden?.size ?? featureSize),
    spec(task, "bias", classes),
  ]);
}

/** Values of the heads' tensors. */
export function headSources(heads: readonly Head[]): [string, TensorSource][] {
  const source = (task: string, part: string, values: Float32Array): [string, TensorSource] => [
    at(task, part),
    { kind: "memory", values },
  ];
  return heads.flatMap(({ task, hidden, weight, bias }) => [
    ...(hidden === undefined ? [] : [source(task, "hidden/weight", hidden.weight)]),
    ...(hidden === undefined ? [] : [source(task, "hidden/bias", hidden.bias)]),
    source(task, "weight", weight),
    source(task, "bias", bias),
  ]);
}

/** Logits [B, C] of features [B, E]; the head's tensors are looked up by name. */
export function applyHead(
  { task, hidden, logitScale }: Pick<Head, "task" | "hidden" | "logitScale">,
  featuresBE: Tensor,
  get: (name: string) => Tensor,
): Tensor {
  const given = hidden === undefined ? featuresBE : hiddenValues(featuresBE, task, hidden.activation, get);
  return headLogits(given, get(at(task, "weight")), get(at(task, "bias")), logitScale);
}

function hiddenValues(
  featuresBE: Tensor,
  task: string,
  activation: "tanh" | "relu",
  get: (name: string) => Tensor,
): Tensor {
  const denseBH = linear(featuresBE, get(at(task, "hidden/weight")), get(at(task, "hidden/bias")));
  return activation === "tanh" ? tf.tanh(denseBH) : tf.relu(denseBH);
}
