/** Features of many examples by a model with given weights. N examples, E features. */
import type { ExampleStore } from "../../data/examples.js";
import type { Engine } from "../../engine/program.js";
import type { Model } from "../../model/family.js";
import { createClassifier } from "../../optimize/evaluate.js";

/** Examples per forward: enough for the cores, little memory for the largest model. */
const FEATURE_BATCH = 64;

/** Features [N, E] of all examples: a classifier whose head is the identity returns them as logits. */
export async function exampleFeatures(
  engine: Engine,
  model: Model,
  weights: ReadonlyMap<string, Float32Array>,
  examples: ExampleStore,
  onExamples?: (examples: number) => void,
): Promise<Float32Array> {
  const size = model.featureSize;
  const weight = new Float32Array(size * size);
  for (let e = 0; e < size; e++) weight[e * size + e] = 1;
  const identity = { classes: size, featureSize: size, logitScale: 1, weight, bias: new Float32Array(size) };
  const task = "features";
  const classifier = await createClassifier(engine, {
    model,
    heads: [{ task, ...identity }],
    batchSize: Math.min(FEATURE_BATCH, examples.size),
  });
  await classifier.setWeights(weights);
  const featuresNE = await classifier.taskLogits(task, examples, { onExamples });
  await classifier.close();
  return featuresNE;
}
