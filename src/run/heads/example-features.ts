/** Features of many examples by a model with given weights. N examples, E features. */
import type { ExampleStore } from "../../data/examples.js";
import type { Engine } from "../../engine/program.js";
import type { Model } from "../../model/family.js";
import { createClassifier } from "../../optimize/evaluate.js";

/** Examples per forward: enough for the cores, little memory for the largest model. */
const FEATURE_BATCH = 64;

/** A compiled forward to features, for as many weights as one likes. */
export interface FeatureReader {
  /** Features [N, E] of all examples by the model with these weights. */
  read(
    weights: ReadonlyMap<string, Float32Array>,
    examples: ExampleStore,
    onExamples?: (examples: number) => void,
  ): Promise<Float32Array>;
  close(): Promise<void>;
}

/** For batches of at most `mostExamples`. A classifier whose head is the identity returns features as logits. */
export async function featureReader(engine: Engine, model: Model, mostExamples: number): Promise<FeatureReader> {
  const size = model.featureSize;
  const weight = new Float32Array(size * size);
  for (let e = 0; e < size; e++) weight[e * size + e] = 1;
  const identity = { classes: size, featureSize: size, logitScale: 1, weight, bias: new Float32Array(size) };
  const task = "features";
  const classifier = await createClassifier(engine, {
    model,
    heads: [{ task, ...identity }],
    batchSize: Math.min(FEATURE_BATCH, mostExamples),
  });
  return {
    read: async (weights, examples, onExamples) => {
      await classifier.setWeights(weights);
      return classifier.taskLogits(task, examples, { onExamples });
    },
    close: () => classifier.close(),
  };
}

/** Features [N, E] of all examples. */
export async function exampleFeatures(
  engine: Engine,
  model: Model,
  weights: ReadonlyMap<string, Float32Array>,
  examples: ExampleStore,
  onExamples?: (examples: number) => void,
): Promise<Float32Array> {
  const reader = await featureReader(engine, model, examples.size);
  const featuresNE = await reader.read(weights, examples, onExamples);
  await reader.close();
  return featuresNE;
}
