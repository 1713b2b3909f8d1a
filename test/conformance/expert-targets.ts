/** What a step on the problem of step/ is given of its experts: their predictions or features of each task's own images. */
import { rowsInMemory } from "../../src/data/image/image-rows.js";
import { imageExamples } from "../../src/data/image/pixels.js";
import type { Engine } from "../../src/engine/program.js";
import { mergedTensors } from "../../src/merge/merged-weights.js";
import { isOfFeatures, type ObjectiveName } from "../../src/objective/catalog.js";
import { type ObjectiveOptions, objectiveOf } from "../../src/objective/objectives.js";
import { createClassifier } from "../../src/optimize/evaluate.js";
import { stepTargets } from "../../src/optimize/step-program.js";
import { featureReader } from "../../src/run/heads/example-features.js";
import type { Problem } from "./problem.js";

/** Images of each task in step/. */
export const IMAGES_PER_TASK = 6;

/** The images and what each task's expert says of its own. */
export async function taughtInputs(
  engine: Engine,
  problem: Problem,
  images: Uint8Array,
  name: ObjectiveName,
  { temperature = 1 }: Partial<ObjectiveOptions> = {},
): Promise<Map<string, Uint8Array | Float32Array>> {
  const inputs = new Map<string, Uint8Array | Float32Array>([["images", images]]);
  const { targets } = objectiveOf(name);
  if (targets === "none") return inputs;
  const { model, heads, bundle } = problem;
  const classifier = await createClassifier(engine, { model, heads, batchSize: IMAGES_PER_TASK });
  const reader = await featureReader(engine, model, IMAGES_PER_TASK);
  const imageBytes = images.length / heads.length / IMAGES_PER_TASK;
  for (const [index, { task }] of heads.entries()) {
    const own = images.subarray(index * IMAGES_PER_TASK * imageBytes, (index + 1) * IMAGES_PER_TASK * imageBytes);
    const store = imageExamples(task, IMAGES_PER_TASK, rowsInMemory(own, imageBytes), imageBytes);
    const tasks = bundle.tasks.length;
    const alone = new Float32Array(bundle.tensors.length * tasks).map((_, at) => (at % tasks === index ? 1 : 0));
    const weights = new Map<string, Float32Array>();
    for await (const { name: tensor, values } of mergedTensors(bundle, alone)) weights.set(tensor, values);
    await classifier.setWeights(weights);
    const found = isOfFeatures(objectiveOf(name))
      ? await reader.read(weights, store)
      : await classifier.probabilities(task, store, temperature);
    inputs.set(stepTargets(task), found);
  }
  await classifier.close();
  await reader.close();
  return inputs;
}
