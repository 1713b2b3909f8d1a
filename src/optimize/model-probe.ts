/**
 * What merging methods ask of models on unlabelled examples: Gram matrices of the linear layers' inputs, squares of what scales multiply, the diagonal of the Fisher
 * information, and the gradient of the entropy. Each is a compiled program (probe-programs.ts); sums over examples are float64. C classes, P passes.
 */
import { exampleBatches } from "../data/batches.js";
import { type ExampleStore, type ExampleValues, selectExamples } from "../data/examples.js";
import { drawnIndices } from "../data/sampler.js";
import type { Engine, Executable, Program } from "../engine/program.js";
import { assert } from "../errors.js";
import type { ModelProbe } from "../merge/methods/method.js";
import type { Model } from "../model/family.js";
import { headSources } from "../model/head-program.js";
import type { Head } from "../model/heads.js";
import { compileByLength } from "./by-length.js";
import type { Classifier } from "./evaluate.js";
import {
  CLASSES_PER_PASS,
  COUNTED,
  entropyProgram,
  fisherProgram,
  gramProgram,
  rowsOf,
  squaresProgram,
} from "./probe-programs.js";
import { weightSources } from "./step-program.js";

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

/** Examples of a Gram matrix's pass. */
const MOST_BATCH = 32;

/** A probe of such models. Close it with the engine. */
export function createModelProbe(engine: Engine, options: ModelProbeOptions): ModelProbe {
  const { model } = options;
  const { lengths } = model;
  const programs = new Map<string, Promise<Executable>>();
  const compiled = (key: string, examples: number, program: (length?: number) => Program): Promise<Executable> => {
    const found = programs.get(key) ?? compileByLength(engine, model, examples, program);
    programs.set(key, found);
    return found;
  };
  const draw = async (task: number, examples: number): Promise<ExampleStore> => {
    const name = options.heads[task]?.task ?? "";
    const store = (await options.stores()).get(name);
    assert(store !== undefined, `no examples of task ${name}`);
    return selectExamples(store, drawnIndices(store.size, examples, { seed: options.seed, task: name }));
  };
  /** All examples of a batch count, so it divides their number; not so for models with lengths, which count themselves. */
  const batchOf = ({ size }: ExampleStore): number =>
    lengths === undefined ? largestDivisor(size, MOST_BATCH) : Math.min(size, MOST_BATCH);
  /** Every output summed over all batches. */
  const summed = async (
    executable: Executable,
    store: ExampleStore,
    batchSize: number,
  ): Promise<Map<string, Float64Array>> => {
    const sums = new Map<string, Float64Array>();
    for (const { inputs, indices } of exampleBatches(store, batchSize, { lengths })) {
      options.signal.throwIfAborted();
      const counted = Float32Array.from({ length: batchSize }, (_, row) => (row < indices.length ? 1 : 0));
      const given = lengths === undefined ? inputs : new Map([...inputs, [COUNTED, counted]]);
      for (const [name, values] of await executable.run(given)) addTo(sums, name, values);
    }
    return sums;
  };
  return {
    grams: async (task, weights, examples, tensors) => {
      const store = await draw(task, examples);
      const batchSize = batchOf(store);
      const linear = linearLayers(model).filter(({ name }) => tensors.includes(name));
      if (linear.length === 0) return new Map();
      const layers = new Set(linear.map(({ input }) => input));
      const key = `grams ${batchSize} ${[...layers].join()}`;
      const executable = await compiled(key, batchSize, (length) => gramProgram({ model, batchSize, length }, layers));
      await executable.bind(new Map(weightSources(model, weights)));
      const sums = overRows(await summed(executable, store, batchSize), layers);
      // A layer that the features do not use has no inputs.
      return new Map(
        linear.flatMap(({ name, input }): [string, Float64Array][] => {
          const gram = sums.get(input);
          return gram === undefined ? [] : [[name, gram]];
        }),
      );
    },
    squares: async (task, weights, examples, tensors) => {
      const vectors = model.tensors.filter(({ name, shape }) => shape.length === 1 && tensors.includes(name));
      if (vectors.length === 0) return new Map();
      const store = await draw(task, examples);
      const batchSize = batchOf(store);
      const scales = new Set(vectors.map(({ name }) => name));
      const key = `squares ${batchSize} ${[...scales].join()}`;
      const program = (length?: number) => squaresProgram({ model, batchSize, length }, scales);
      const executable = await compiled(key, batchSize, program);
      await executable.bind(new Map(weightSources(model, weights)));
      const sums = overRows(await summed(executable, store, batchSize), scales);
      return new Map([...sums].filter(([name]) => scales.has(name)));
    },
    fisher: async (task, weights, examples, coverage) => {
      const head = options.heads[task];
      assert(head !== undefined, `no head of task ${task}`);
      const store = await draw(task, examples);
      await options.classifier.setWeights(weights);
      const probabilitiesNC = await options.classifier.probabilities(head.task, store);
      const program = (length?: number) => fisherProgram({ model, length }, head);
      const executable = await compiled(`fisher ${head.task}`, 1, program);
      await executable.bind(new Map([...weightSources(model, weights), ...headSources([head])]));
      const sums = new Map<string, Float64Array>();
      for (const { inputs: example, indices } of exampleBatches(store, 1, { lengths })) {
        const [index] = indices;
        assert(index !== undefined, "a batch without an example");
        const own = probabilitiesNC.subarray(index * head.classes, (index + 1) * head.classes);
        const chosen = likelyClasses(own, coverage);
        for (let from = 0; from < chosen.length; from += CLASSES_PER_PASS) {
          options.signal.throwIfAborted();
          const passes = chosen.slice(from, from + CLASSES_PER_PASS);
          const classesPC = new Float32Array(CLASSES_PER_PASS * head.classes);
          const sharesP = new Float32Array(CLASSES_PER_PASS);
          for (const [pass, chosenClass] of passes.entries()) {
            classesPC[pass * head.classes + chosenClass] = 1;
            sharesP[pass] = own[chosenClass] ?? 0;
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
      const batchSize = batchOf(store);
      const key = `entropy ${head.task} ${batchSize}`;
      const program = (length?: number) => entropyProgram({ model, batchSize, length }, head);
      const executable = await compiled(key, batchSize, program);
      await executable.bind(new Map([...weightSources(model, weights), ...headSources([head])]));
      const sums = await summed(executable, store, batchSize);
      // The program gives means over batches, or for models with lengths sums over examples.
      for (const sum of sums.values()) divide(sum, lengths === undefined ? store.size / batchSize : store.size);
      return sums;
    },
  };
}

/** The sums of these tensors as means over their rows, where those were counted. */
function overRows(sums: Map<string, Float64Array>, names: Iterable<string>): Map<string, Float64Array> {
  for (const name of names) {
    const [sum, rows] = [sums.get(name), sums.get(rowsOf(name))?.[0]];
    if (sum !== undefined && rows !== undefined) divide(sum, rows);
  }
  return sums;
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

/** Weights of linear layers, each with the first layer that has the same input. */
function linearLayers({ tensors }: Model): { readonly name: string; readonly input: string }[] {
  return tensors.flatMap(({ name, sharesInput }) => (sharesInput === undefined ? [] : [{ name, input: sharesInput }]));
}
