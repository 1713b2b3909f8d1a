/**
 * Heads inside programs: their frozen tensors by name, and their logits. B examples, C classes, E features, H width of a hidden layer, I rank of an
 * adapter.
 */
import { linear } from "../engine/ops/linear.js";
import type { TensorSource, TensorSpec } from "../engine/program.js";
import { type Tensor, tf } from "../engine/tf.js";
import { type Head, headLogits } from "./heads.js";

const at = (task: string, part: string): string => `head/${task}/${part}`;

/** What of a head decides the shapes of its tensors. */
type HeadShape = Pick<Head, "task" | "classes" | "featureSize" | "hidden" | "adapter">;

/** The parts of a head that lie before the features' dense layers. */
const ADAPTER_PARTS: readonly string[] = ["adapter/down", "adapter/up"];

/** Whether a tensor of `headSpecs` is one of an adapter. */
export const isOfAdapter = (name: string): boolean => ADAPTER_PARTS.some((part) => name.endsWith(`/${part}`));

/**
 * Specs of the heads' tensors: `head/<task>/weight` [C, E] and `head/<task>/bias` [C], with a hidden layer `head/<task>/hidden/weight` [H, E] and
 * `.../bias` [H], with an adapter `head/<task>/adapter/down` [I, E] and `.../up` [E, I].
 */
export function headSpecs(heads: readonly HeadShape[]): [string, TensorSpec][] {
  const spec = (task: string, part: string, ...shape: number[]): [string, TensorSpec] => [
    at(task, part),
    { shape, dtype: "float32" },
  ];
  return heads.flatMap(({ task, classes, featureSize, hidden, adapter }) => [
    ...(adapter === undefined ? [] : [spec(task, "adapter/down", adapter.rank, featureSize)]),
    ...(adapter === undefined ? [] : [spec(task, "adapter/up", featureSize, adapter.rank)]),
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
  return heads.flatMap(({ task, hidden, weight, bias, adapter }) => [
    ...(adapter === undefined ? [] : [source(task, "adapter/down", adapter.down)]),
    ...(adapter === undefined ? [] : [source(task, "adapter/up", adapter.up)]),
    ...(hidden === undefined ? [] : [source(task, "hidden/weight", hidden.weight)]),
    ...(hidden === undefined ? [] : [source(task, "hidden/bias", hidden.bias)]),
    source(task, "weight", weight),
    source(task, "bias", bias),
  ]);
}

/** The same heads with other numbers, by the names of `headSpecs`. */
export function headsWith(heads: readonly Head[], values: (name: string) => Float32Array): Head[] {
  return heads.map((head): Head => {
    const part = (name: string): Float32Array => values(at(head.task, name));
    const { hidden, adapter } = head;
    return {
      ...head,
      weight: part("weight"),
      bias: part("bias"),
      ...(hidden && { hidden: { ...hidden, weight: part("hidden/weight"), bias: part("hidden/bias") } }),
      ...(adapter && { adapter: { ...adapter, down: part("adapter/down"), up: part("adapter/up") } }),
    };
  });
}

/** The features [B, E] as the head's own layers read them: behind its adapter, where it has one. */
export function headFeatures(
  { task, adapter }: Pick<Head, "task" | "adapter">,
  featuresBE: Tensor,
  get: (name: string) => Tensor,
): Tensor {
  if (adapter === undefined) return featuresBE;
  const insideBI = tf.relu(linear(featuresBE, get(at(task, "adapter/down"))));
  return tf.sub(featuresBE, linear(insideBI, get(at(task, "adapter/up"))));
}

/** Logits [B, C] of features [B, E]; the head's tensors are looked up by name. */
export function applyHead(
  head: Pick<Head, "task" | "hidden" | "adapter" | "logitScale">,
  featuresBE: Tensor,
  get: (name: string) => Tensor,
): Tensor {
  const { task, hidden, logitScale } = head;
  const own = headFeatures(head, featuresBE, get);
  const given = hidden === undefined ? own : hiddenValues(own, task, hidden.activation, get);
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
