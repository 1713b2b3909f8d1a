/**
 * The diagonal of the Fisher information of one example as a program: squared gradients of the logarithms of classes' probabilities, summed over a
 * few classes. Of a table of words only the rows that the example asks for have a gradient, and only those are computed. C classes, P passes, R rows
 * of a table that are asked for, one more than once where a word comes again, D width.
 */
import { lookup } from "../engine/lookup.js";
import { gradientsOfEach } from "../engine/ops/gradients.js";
import { type Program, type SharedFloats, sharedFloats, sizeOf, type TensorSpec } from "../engine/program.js";
import { type Tensor, tf } from "../engine/tf.js";
import { assert } from "../errors.js";
import type { Model, ModelTensor } from "../model/family.js";
import { applyHead, headSpecs } from "../model/head-program.js";
import type { Head } from "../model/heads.js";
import type { ModelWeights } from "../model/model-weights.js";
import { addTo } from "./probe-batches.js";
import type { ProbedBatch } from "./probe-programs.js";
import { weightName, weightSpecs } from "./step-program.js";

/** Backward passes of one example in one run: what a run costs besides, such as handing over its results, is shared. */
export const CLASSES_PER_PASS = 4;

/** Output beside that of a table: the numbers [R] of its rows. */
const numbersOf = (table: string): string => `numbers/${table}`;

/** Rows of a table that the forward pass asks for. */
interface AskedRows {
  readonly table: string;
  readonly numbers: Tensor;
}

/**
 * Inputs: those of the model for one example, `classes` [P, C] with 1 for one class of each pass and 0 for the others, `shares` [P]. Outputs by tensor: the sum over
 * passes of share (d log p(class) / d weight)^2; of a table rows [R, D] and their numbers, the same one for each time that a row is asked for.
 */
export function fisherProgram({ model, length }: Omit<ProbedBatch, "batchSize">, head: Head): Program {
  const dense = denseTensors(model).map(({ name }) => name);
  return {
    name: `fisher of ${head.task}`,
    frozen: new Map([...weightSpecs(model), ...headSpecs([head])]),
    inputs: new Map<string, TensorSpec>([
      ...model.inputs(1, length),
      ["classes", { shape: [CLASSES_PER_PASS, head.classes], dtype: "float32" }],
      ["shares", { shape: [CLASSES_PER_PASS], dtype: "float32" }],
    ]),
    build: (tensors) => {
      const get = lookup(tensors);
      const asked = askedRows(model, get);
      const own = [
        ...dense.map((name) => get(weightName(name))),
        ...asked.map(({ table, numbers }) => tf.gather(get(weightName(table)), numbers)),
      ];
      const logProbabilities = (...values: Tensor[]): Tensor[] => {
        const logitsBC = applyHead(head, model.features(weightsOf(dense, asked, values), get), get);
        const chosenPC = tf.mul(get("classes"), tf.logSoftmax(logitsBC));
        // Times the root of the share: the square of the gradient is the share's, and no tensor is multiplied for it.
        return tf.unstack(tf.mul(tf.sum(chosenPC, 1), tf.sqrt(get("shares"))));
      };
      const passes = gradientsOfEach(logProbabilities, CLASSES_PER_PASS, own);
      const summed = (gradientOf: (gradients: readonly Tensor[]) => Tensor): Tensor =>
        tf.addN(passes.map((gradients) => tf.square(gradientOf(gradients))));
      const outputs = new Map(dense.map((name, at) => [name, summed((gradients) => present(gradients[at]))]));
      for (const table of new Set(asked.map((rows) => rows.table))) {
        const places = asked.flatMap((rows, at) => (rows.table === table ? [at] : []));
        const numbersR = joined(places.map((at) => tf.reshape(present(asked[at]?.numbers), [-1])));
        // A word's gradient is that of all its places, which is known before it is squared.
        const [across, down] = [tf.reshape(numbersR, [1, -1]), tf.reshape(numbersR, [-1, 1])];
        const sameRR = tf.cast(tf.equal(down, across), "float32");
        const rowsRD = (gradients: readonly Tensor[]): Tensor =>
          joined(places.map((at) => asRows(present(gradients[dense.length + at]))));
        outputs.set(
          table,
          summed((gradients) => tf.matMul(sameRR, rowsRD(gradients))),
        );
        outputs.set(numbersOf(table), tf.cast(numbersR, "float32"));
      }
      return outputs;
    },
  };
}

/** Sums of a program's outputs over many runs, one of every tensor. */
export interface FisherSums {
  /** Where runs write outputs: in memory that threads share, since they are as large as the model. */
  readonly into: ReadonlyMap<string, SharedFloats>;
  /** Adds what a run gave. */
  add(outputs: ReadonlyMap<string, Float32Array>): void;
  /** By tensor, float64. */
  readonly byTensor: ReadonlyMap<string, Float64Array>;
}

export function fisherSums(model: Model): FisherSums {
  const byTensor = new Map(model.tensors.map(({ name, shape }) => [name, new Float64Array(sizeOf(shape))]));
  const tables = model.tensors.filter(isTable);
  return {
    byTensor,
    into: new Map(denseTensors(model).map(({ name, shape }) => [name, sharedFloats(sizeOf(shape))])),
    add: (outputs) => {
      for (const { name } of denseTensors(model)) addTo(byTensor, name, outputs.get(name) ?? new Float32Array());
      for (const { name } of tables) {
        const [rowsRD, numbersR, sumVD] = [outputs.get(name), outputs.get(numbersOf(name)), byTensor.get(name)];
        // A table that the features do not ask for has neither.
        if (rowsRD !== undefined && numbersR !== undefined && sumVD !== undefined) addRows(sumVD, numbersR, rowsRD);
      }
    },
  };
}

/** Adds rows [R, D] to those of a table [V, D] that have these numbers, each number once. */
function addRows(sumVD: Float64Array, numbersR: Float32Array, rowsRD: Float32Array): void {
  const width = rowsRD.length / numbersR.length;
  const added = new Set<number>();
  for (const [row, number] of numbersR.entries()) {
    if (added.has(number)) continue;
    added.add(number);
    for (let column = 0; column < width; column++) {
      const at = number * width + column;
      sumVD[at] = (sumVD[at] ?? 0) + (rowsRD[row * width + column] ?? 0);
    }
  }
}

const isTable = (tensor: ModelTensor): boolean => tensor.isTable === true;

function denseTensors({ tensors }: Model): readonly ModelTensor[] {
  return tensors.filter((tensor) => !isTable(tensor));
}

/** What the forward pass asks of tables, in its order, by a forward pass that nobody reads: a traced graph does not have it. */
function askedRows(model: Model, get: (name: string) => Tensor): readonly AskedRows[] {
  const asked: AskedRows[] = [];
  const weights: ModelWeights = {
    get: (name) => get(weightName(name)),
    rows: (table, numbers) => {
      asked.push({ table, numbers });
      return tf.gather(get(weightName(table)), numbers);
    },
  };
  model.features(weights, get);
  return asked;
}

/** The model's weights out of values in the order of `dense` and `asked`. A table is never asked for as a whole. */
function weightsOf(dense: readonly string[], asked: readonly AskedRows[], values: readonly Tensor[]): ModelWeights {
  const byName = new Map(dense.map((name, at): [string, Tensor] => [name, present(values[at])]));
  let next = 0;
  return {
    get: lookup(byName),
    rows: (table) => {
      assert(asked[next]?.table === table, `rows of ${table} were not asked for before`);
      return present(values[dense.length + next++]);
    },
  };
}

function asRows(valuesRD: Tensor): Tensor {
  return tf.reshape(valuesRD, [-1, valuesRD.shape.at(-1) ?? 1]);
}

function joined(parts: readonly Tensor[]): Tensor {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : tf.concat([...parts], 0);
}

function present(tensor: Tensor | undefined): Tensor {
  assert(tensor !== undefined, "a tensor without a gradient");
  return tensor;
}
