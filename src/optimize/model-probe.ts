/**
 * What merging methods ask of models on unlabelled examples: Gram matrices of the linear layers' inputs, the diagonal of the Fisher
 * information, and the gradient of the entropy. Each is a compiled program; sums over examples are float64. B examples, C classes, I inputs of a layer.
 */
import { exampleBatches } from "../data/batches.js";
import { type ExampleStore, type ExampleValues, selectExamples } from "../data/examples.js";
import { drawnIndices } from "../data/sampler.js";
import { lookup } from "../engine/lookup.js";
import type { Engine, Executable, Program, TensorSpec } from "../engine/program.js";
import { type Tensor, tf } from "../engine/tf.js";
import { assert } from "../errors.js";
import type { ModelProbe } from "../merge/methods/method.js";
import type { Model } from "../model/family.js";
import { applyHead, headSources, headSpecs } from "../model/head-program.js";
import type { Head } from "../model/heads.js";
import { plainWeights } from "../model/model-weights.js";
import { meanEntropy } from "../objective/entropy.js";
import type { Classifier } from "./evaluate.js";
import { weightName, weightSources, weightSpecs } from "./step-program.js";

export interface ModelProbeOptions {
  readonly model: Model;
  readonly heads: readonly Head[];
  readonly classifier: Classifier;
  /** The examples of each task, read when they are first asked for. */
  readonly stores: () => Promise<ReadonlyMap<string, ExampleStore>>;
  /** Of the examples that are drawn. */
  readonly seed: number;
  readonly signal: AbortSignal;
}

/** Examples of a Gram matrix's pass: all of them count, so the batch must divide their number. */
const MOST_BATCH = 32;
/** Backward passes of one example in one run: what a run costs besides, such as handing over its results, is shared. */
const CLASSES_PER_PASS = 4;

/** A probe of such models. Close it with the engine. */
export function createModelProbe(engine: Engine, options: ModelProbeOptions): ModelProbe {
  const programs = new Map<string, Promise<Executable>>();
  const compiled = (key: string, program: () => Program): Promise<Executable> => {
    const found = programs.get(key) ?? engine.compile(program());
    programs.set(key, found);
    return found;
  };
  const draw = async (task: number, examples: number): Promise<ExampleStore> => {
    const name = options.heads[task]?.task ?? "";
    const store = (await options.stores()).get(name);
    assert(store !== undefined, `no examples of task ${name}`);
    return selectExamples(store, drawnIndices(store.size, examples, { seed: options.seed, task: name }));
  };
  return {
    grams: async (task, weights, examples, tensors) => {
      const store = await draw(task, examples);
      const batchSize = largestDivisor(store.size, MOST_BATCH);
      const linear = linearLayers(options.model).filter(({ name }) => tensors.includes(name));
      if (linear.length === 0) return new Map();
      const layers = new Set(linear.map(({ input }) => input));
      const key = `grams ${batchSize} ${[...layers].join()}`;
      const executable = await compiled(key, () => gramProgram(options, batchSize, layers));
      await executable.bind(new Map(weightSources(options.model, weights)));
      const sums = new Map<string, Float64Array>();
      for (const { inputs } of exampleBatches(store, batchSize)) {
        options.signal.throwIfAborted();
        for (const [name, values] of await executable.run(inputs)) addTo(sums, name, values);
      }
      return new Map(
        linear.map(({ name, input }) => {
          const gram = sums.get(input);
          assert(gram !== undefined, `no Gram matrix of ${name}`);
          return [name, gram];
        }),
      );
    },
    fisher: async (task, weights, examples, coverage) => {
      const head = options.heads[task];
      assert(head !== undefined, `no head of task ${task}`);
      const store = await draw(task, examples);
      await options.classifier.setWeights(weights);
      const probabilitiesNC = await options.classifier.probabilities(head.task, store);
      const executable = await compiled(`fisher ${head.task}`, () => fisherProgram(options, head));
      await executable.bind(new Map([...weightSources(options.model, weights), ...headSources([head])]));
      const sums = new Map<string, Float64Array>();
      for (const { inputs: example, first } of exampleBatches(store, 1)) {
        const own = probabilitiesNC.subarray(first * head.classes, (first + 1) * head.classes);
        const chosen = likelyClasses(own, coverage);
        for (let from = 0; from < chosen.length; from += CLASSES_PER_PASS) {
          options.signal.throwIfAborted();
          const passes = chosen.slice(from, from + CLASSES_PER_PASS);
          const classesPC = new Float32Array(CLASSES_PER_PASS * head.classes);
          const sharesP = new Float32Array(CLASSES_PER_PASS);
          for (const [pass, index] of passes.entries()) {
            classesPC[pass * head.classes + index] = 1;
            sharesP[pass] = own[index] ?? 0;
          }
          const inputs = new Map<string, ExampleValues>([...example, ["classes", classesPC], ["shares", sharesP]]);
          for (const [name, values] of await executable.run(inputs)) addTo(sums, name, values);
        }
      }
      for (const sum of sums.values()) divide(sum, store.size);
      return sums;
    },
    entropyGradient: async (task, weights, examples) => {
      const head = options.heads[task];
      assert(head !== undefined, `no head of task ${task}`);
      const store = await draw(task, examples);
      const batchSize = largestDivisor(store.size, MOST_BATCH);
      const key = `entropy ${head.task} ${batchSize}`;
      const executable = await compiled(key, () => entropyProgram(options, head, batchSize));
      await executable.bind(new Map([...weightSources(options.model, weights), ...headSources([head])]));
      const sums = new Map<string, Float64Array>();
      for (const { inputs } of exampleBatches(store, batchSize)) {
        options.signal.throwIfAborted();
        for (const [name, values] of await executable.run(inputs)) addTo(sums, name, values);
      }
      for (const sum of sums.values()) divide(sum, store.size / batchSize);
      return sums;
    },
  };
}

function divide(values: Float64Array, by: number): void {
  for (let i = 0; i < values.length; i++) values[i] = (values[i] ?? 0) / by;
}

/** Classes by p (1 - p), the largest first, until they make up the share `coverage` of its sum. */
export function likelyClasses(probabilitiesC: Float32Array, coverage: number): number[] {
  const weighted = [...probabilitiesC]
    .map((p, index) => ({ index, weight: p * (1 - p) }))
    .sort((a, b) => b.weight - a.weight);
  const total = weighted.reduce((sum, { weight }) => sum + weight, 0);
  let covered = 0;
  const chosen: number[] = [];
  for (const { index, weight } of weighted) {
    if (chosen.length > 0 && coverage < 1 && covered >= coverage * total) break;
    chosen.push(index);
    covered += weight;
  }
  return chosen;
}

function addTo(sums: Map<string, Float64Array>, name: string, values: Float32Array): void {
  const sum = sums.get(name) ?? new Float64Array(values.length);
  for (let index = 0; index < values.length; index++) sum[index] = (sum[index] ?? 0) + (values[index] ?? 0);
  sums.set(name, sum);
}

function largestDivisor(count: number, most: number): number {
  for (let divisor = Math.min(count, most); divisor > 1; divisor--) if (count % divisor === 0) return divisor;
  return 1;
}

/**
 * Layers that get the same input (query, key and value) share an output, named by the first of them. All tokens count, those of the last block
 * too, as in the published code.
 */
function gramProgram({ model }: ModelProbeOptions, batchSize: number, layers: ReadonlySet<string>): Program {
  return {
    name: "grams",
    frozen: new Map(weightSpecs(model)),
    inputs: model.inputs(batchSize),
    build: (tensors) => {
      const get = lookup(tensors);
      const grams = new Map<string, Tensor>();
      model.features(
        plainWeights((name) => get(weightName(name))),
        get,
        {
          wholeLastBlock: true,
          input: (weight, x) => {
            if (!layers.has(weight)) return;
            const xMI = tf.reshape(x, [-1, x.shape.at(-1) ?? 1]);
            grams.set(weight, tf.matMul(xMI, xMI, true, false));
          },
        },
      );
      return grams;
    },
  };
}

/** Weights of linear layers, each with the first layer that has the same input. */
function linearLayers({ tensors }: Model): { readonly name: string; readonly input: string }[] {
  return tensors.flatMap(({ name, sharesInput }) => (sharesInput === undefined ? [] : [{ name, input: sharesInput }]));
}

/** Inputs: those of the model. Outputs by tensor: the gradient of the mean entropy over the batch. */
function entropyProgram({ model }: ModelProbeOptions, head: Head, batchSize: number): Program {
  const names = model.tensors.map(({ name }) => name);
  return {
    name: `entropy gradient of ${head.task}`,
    frozen: new Map([...weightSpecs(model), ...headSpecs([head])]),
    inputs: model.inputs(batchSize),
    build: (tensors) => {
      const get = lookup(tensors);
      const entropy = (...weights: Tensor[]): Tensor => {
        const byName = new Map(names.map((name, index): [string, Tensor] => [name, weights[index] ?? get(name)]));
        const features = model.features(plainWeights(lookup(byName)), get);
        return meanEntropy(applyHead(head, features, get), { form: "log_softmax" });
      };
      const { grads } = tf.valueAndGrads(entropy)(names.map((name) => get(weightName(name))));
      return new Map(names.flatMap((name, index): [string, Tensor][] => [[name, grads[index] ?? tf.scalar(0)]]));
    },
  };
}

/**
 * Inputs: those of the model for one example, `classes` [P, C] with 1 for one class of each pass and 0 for the others, `shares` [P]. Outputs by tensor: the sum over
 * passes of share (d log p(class) / d weight)^2.
 */
function fisherProgram({ model }: ModelProbeOptions, head: Head): Program {
  const names = model.tensors.map(({ name }) => name);
  return {
    name: `fisher of ${head.task}`,
    frozen: new Map([...weightSpecs(model), ...headSpecs([head])]),
    inputs: new Map<string, TensorSpec>([
      ...model.inputs(1),
      ["classes", { shape: [CLASSES_PER_PASS, head.classes], dtype: "float32" }],
      ["shares", { shape: [CLASSES_PER_PASS], dtype: "float32" }],
    ]),
    build: (tensors) => {
      const get = lookup(tensors);
      const logProbability = (classC: Tensor, weights: readonly Tensor[]): Tensor => {
        const byName = new Map(names.map((name, index): [string, Tensor] => [name, weights[index] ?? get(name)]));
        const features = model.features(plainWeights(lookup(byName)), get);
        const logitsBC = applyHead(head, features, get);
        return tf.sum(tf.mul(tf.logSoftmax(logitsBC), tf.reshape(classC, [1, head.classes])));
      };
      const own = names.map((name) => get(weightName(name)));
      const shares = tf.unstack(get("shares"));
      const passes = tf.unstack(get("classes")).map((classC) => {
        const { grads } = tf.valueAndGrads((...weights: Tensor[]) => logProbability(classC, weights))(own);
        return grads;
      });
      return new Map(
        names.map((name, index): [string, Tensor] => {
          const terms = passes.map((grads, pass) => {
            const [gradient, share] = [grads[index], shares[pass]];
            assert(gradient !== undefined && share !== undefined, "a pass without a gradient");
            return tf.mul(share, tf.square(gradient));
          });
          return [name, tf.addN(terms)];
        }),
      );
    },
  };
}
