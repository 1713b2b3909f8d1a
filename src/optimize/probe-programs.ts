/**
 * Programs of the model probe: Gram matrices, squares of what scales multiply and the gradient of the entropy (Fisher information: fisher-program.ts). B
 * examples, C classes, D elements of a scale, I inputs of a layer, M rows of inputs: examples, or their tokens.
 */

import { lookup } from "../engine/lookup.js";
import { valueAndGradients } from "../engine/ops/gradients.js";
import { columnSums } from "../engine/ops/linear.js";
import type { Program, TensorSpec } from "../engine/program.js";
import { type Tensor, tf } from "../engine/tf.js";
import { assert } from "../errors.js";
import type { Model, ModelWatch } from "../model/family.js";
import { applyHead, headSpecs } from "../model/head-program.js";
import type { Head } from "../model/heads.js";
import { plainWeights } from "../model/model-weights.js";
import { meanEntropy, weightedEntropy } from "../objective/entropy.js";
import { givenWeights, weightName, weightSpecs } from "./step-program.js";

/** A probed batch: all of its examples count or, for models with lengths, those that the input `COUNTED` [B] has 1 for. */
export interface ProbedBatch {
  readonly model: Model;
  readonly batchSize: number;
  readonly length?: number | undefined;
}

export const COUNTED = "counted";

/** The output that says of how many rows the Gram matrix of this layer is the sum, for models with lengths. */
export const rowsOf = (layer: string): string => `rows/${layer}`;

/** Of the model, and `COUNTED` for those with lengths. */
export function batchInputs({ model, batchSize, length }: ProbedBatch): Map<string, TensorSpec> {
  const inputs = new Map(model.inputs(batchSize, length));
  if (model.lengths !== undefined) inputs.set(COUNTED, { shape: [batchSize], dtype: "float32" });
  return inputs;
}

/**
 * Layers that get the same input (query, key and value) share an output, named by the first of them. All tokens count, those of the last block
 * too, as in the published code; padding does not.
 */
export function gramProgram(batch: ProbedBatch, layers: ReadonlySet<string>): Program {
  const { model } = batch;
  return {
    name: "grams",
    frozen: new Map(weightSpecs(model)),
    inputs: batchInputs(batch),
    build: (tensors) => {
      const get = lookup(tensors);
      const outputs = new Map<string, Tensor>();
      model.features(givenWeights(get), get, gramWatch(batch, get, layers, outputs));
      return outputs;
    },
  };
}

/** Sums of the squares [D] of what these scales multiply, over the rows that Gram matrices count. */
export function squaresProgram(batch: ProbedBatch, scales: ReadonlySet<string>): Program {
  const { model } = batch;
  return {
    name: "squares",
    frozen: new Map(weightSpecs(model)),
    inputs: batchInputs(batch),
    build: (tensors) => {
      const get = lookup(tensors);
      const outputs = new Map<string, Tensor>();
      model.features(givenWeights(get), get, {
        wholeLastBlock: true,
        scale: (weight, x) => {
          if (!scales.has(weight)) return;
          const { ownMI, rows } = rowsThatCount(batch, get, weight, x());
          outputs.set(weight, columnSums(tf.square(ownMI)));
          if (rows !== undefined) outputs.set(rowsOf(weight), rows);
        },
      });
      return outputs;
    },
  };
}

/** Sees to it that the forward pass puts the Gram matrices of these layers, and how many rows they are the sums of, into `outputs`. */
export function gramWatch(
  batch: ProbedBatch,
  get: (name: string) => Tensor,
  layers: ReadonlySet<string>,
  outputs: Map<string, Tensor>,
): ModelWatch {
  return {
    wholeLastBlock: true,
    input: (weight, x) => {
      if (!layers.has(weight)) return;
      const { ownMI, rows } = rowsThatCount(batch, get, weight, x);
      outputs.set(weight, tf.matMul(ownMI, ownMI, true, false));
      if (rows !== undefined) outputs.set(rowsOf(weight), rows);
    },
  };
}

/** Values [..., I] as rows [M, I], of which those that do not count are 0, and how many do; undefined where all do. */
function rowsThatCount(
  batch: ProbedBatch,
  get: (name: string) => Tensor,
  weight: string,
  x: Tensor,
): { readonly ownMI: Tensor; readonly rows: Tensor | undefined } {
  const xMI = tf.reshape(x, [-1, x.shape.at(-1) ?? 1]);
  const countedM1 = countedRows(batch, get, weight, xMI.shape[0] ?? 0);
  if (countedM1 === undefined) return { ownMI: xMI, rows: undefined };
  return { ownMI: tf.mul(xMI, countedM1), rows: tf.sum(countedM1) };
}

/** [M, 1]: 1 for rows that count, 0 for padding and for examples that do not; undefined where all do. */
function countedRows(
  { model, batchSize, length }: ProbedBatch,
  get: (name: string) => Tensor,
  layer: string,
  rows: number,
): Tensor | undefined {
  if (model.lengths === undefined) return undefined;
  const countedB1 = tf.reshape(get(COUNTED), [batchSize, 1]);
  if (rows === batchSize) return countedB1;
  assert(model.mask !== undefined && length !== undefined, "a model with lengths has a mask");
  assert(rows === batchSize * length, `the input of ${layer} has ${rows} rows, of ${batchSize} examples of ${length}`);
  return tf.reshape(tf.mul(get(model.mask), countedB1), [rows, 1]);
}

/** Outputs by tensor: the gradient of the mean entropy over the batch or, for models with lengths, of the sum over the examples that count. */
export function entropyProgram(batch: ProbedBatch, head: Head): Program {
  const { model } = batch;
  const names = model.tensors.map(({ name }) => name);
  return {
    name: `entropy gradient of ${head.task}`,
    frozen: new Map([...weightSpecs(model), ...headSpecs([head])]),
    inputs: batchInputs(batch),
    build: (tensors) => {
      const get = lookup(tensors);
      const entropy = (...weights: Tensor[]): Tensor => {
        const logitsBC = logitsOf(model, head, names, weights, get);
        const form = { form: "log_softmax" } as const;
        return model.lengths === undefined
          ? meanEntropy(logitsBC, form)
          : weightedEntropy(logitsBC, get(COUNTED), form);
      };
      const { gradients } = valueAndGradients(
        entropy,
        names.map((name) => get(weightName(name))),
      );
      return new Map(names.map((name, index): [string, Tensor] => [name, gradients[index] ?? tf.scalar(0)]));
    },
  };
}

/** Logits [B, C] of the model with these weights, in the order of `names`. */
function logitsOf(
  model: Model,
  head: Head,
  names: readonly string[],
  weights: readonly Tensor[],
  get: (name: string) => Tensor,
): Tensor {
  const byName = new Map(names.map((name, index): [string, Tensor] => [name, weights[index] ?? get(name)]));
  const features = model.features(plainWeights(lookup(byName)), get);
  return applyHead(head, features, get);
}
