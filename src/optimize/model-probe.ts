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
import { CLASSES_PER_PASS, fisherProgram, fisherSums } from "./fisher-program.js";
import { createPartwiseProbe } from "./partwise-probe.js";
import { addTo, divide, gramsOf, linearLayers, overRows, probedBatches, probedBatchSize } from "./probe-batches.js";
import { entropyProgram, gramProgram, squaresProgram } from "./probe-programs.js";
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

/** A probe of such models. Close it with the engine. */
export function createModelProbe(engine: Engine, options: ModelProbeOptions): ModelProbe {
  const { model } = options;
  const { lengths, parts } = model;
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
  /** Every output summed over all batches. */
  const summed = async (executable: Executable, store: ExampleStore): Promise<Map<string, Float64Array>> => {
    const sums = new Map<string, Float64Array>();
    for (const inputs of probedBatches(model, store)) {
      options.signal.throwIfAborted();
      for (const [name, values] of await executable.run(inputs)) addTo(sums, name, values);
    }
    return sums;
  };
  return {
    grams: async (task, weights, examples, tensors) => {
      const store = await draw(task, examples);
      const batchSize = probedBatchSize(model, store);
      const linear = linearLayers(model).filter(({ name }) => tensors.includes(name));
      if (linear.length === 0) return new Map();
      const layers = new Set(linear.map(({ input }) => input));
      const key = `grams ${batchSize} ${[...layers].join()}`;
      const executable = await compiled(key, batchSize, (length) => gramProgram({ model, batchSize, length }, layers));
      await executable.bind(new Map(weightSources(model, weights)));
      return gramsOf(linear, await summed(executable, store));
    },
    squares: async (task, weights, examples, tensors) => {
      const vectors = model.tensors.filter(({ name, shape }) => shape.length === 1 && tensors.includes(name));
      if (vectors.length === 0) return new Map();
      const store = await draw(task, examples);
      const batchSize = probedBatchSize(model, store);
      const scales = new Set(vectors.map(({ name }) => name));
      const key = `squares ${batchSize} ${[...scales].join()}`;
      const program = (length?: number) => squaresProgram({ model, batchSize, length }, scales);
      const executable = await compiled(key, batchSize, program);
      await executable.bind(new Map(weightSources(model, weights)));
      const sums = await summed(executable, store);
      overRows(sums, scales);
      return new Map([...sums].filter(([name]) => scales.has(name)));
    },
    ...(parts === undefined
      ? {}
      : {
          partwise: (examples) =>
            createPartwiseProbe(engine, {
              ...{ model, parts, tasks: options.heads.length, signal: options.signal },
              draw: (task) => draw(task, examples),
            }),
        }),
    fisher: async (task, weights, examples, coverage) => {
      const head = options.heads[task];
      assert(head !== undefined, `no head of task ${task}`);
      const store = await draw(task, examples);
      await options.classifier.setWeights(weights);
      const probabilitiesNC = await options.classifier.probabilities(head.task, store);
      const sums = fisherSums(model);
      // Not kept as others are: each task has its own, which is asked for once.
      const executable = await compileByLength(engine, model, 1, (length) => fisherProgram({ model, length }, head));
      await executable.bind(new Map([...weightSources(model, weights), ...headSources([head])]));
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
          sums.add(await executable.run(inputs, sums.into));
        }
      }
      await executable.close();
      for (const sum of sums.byTensor.values()) divide(sum, store.size);
      return sums.byTensor;
    },
    entropyGradient: async (task, weights, examples) => {
      const head = options.heads[task];
      assert(head !== undefined, `no head of task ${task}`);
      const store = await draw(task, examples);
      const batchSize = probedBatchSize(model, store);
      const key = `entropy ${head.task} ${batchSize}`;
      const program = (length?: number) => entropyProgram({ model, batchSize, length }, head);
      const executable = await compiled(key, batchSize, program);
      await executable.bind(new Map([...weightSources(model, weights), ...headSources([head])]));
      const sums = await summed(executable, store);
      // The program gives means over batches, or for models with lengths sums over examples.
      for (const sum of sums.values()) divide(sum, lengths === undefined ? store.size / batchSize : store.size);
      return sums;
    },
  };
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
