/**
 * Saved models of three families as small as they can be, and what the engine makes of examples by them: what exported
 * files are held against. B examples, T tokens, H, W, C height, width, channels.
 */
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadRunConfig } from "../../src/config/load.js";
import { lookup } from "../../src/engine/lookup.js";
import type { Engine, TensorSource, TensorSpec, TensorValues } from "../../src/engine/program.js";
import { tf } from "../../src/engine/tf.js";
import { writeHeadFile } from "../../src/model/head-file.js";
import { applyHead, headSources, headSpecs } from "../../src/model/head-program.js";
import type { Head } from "../../src/model/heads.js";
import { givenWeights, weightSources, weightSpecs } from "../../src/optimize/step-program.js";
import { mergeToDirectory } from "../../src/run/coefficients/merge-to-directory.js";
import type { SavedEncoder } from "../../src/run/predict/saved-encoder.js";
import { ROOT } from "./cli.js";
import { randomArray } from "./random.js";
import { coefficientsOf, IMAGE_TASKS, writeImageSuite } from "./tiny-image-suite.js";
import { TEXT_TASKS, writeTextSuite } from "./tiny-text-suite.js";

/**
 * Writes `clip` (a merge with the heads colours and pair), `bert` (a merge with thirds and vowels, on the pooler),
 * `sentences` (a BERT with the head two, on the mean over tokens at length 1) and `vit` (with the head three, which has
 * a hidden layer behind an adapter of the features, on the mean of the patches).
 */
export async function writeSavedModels(root: string): Promise<void> {
  const [images, texts, sentences, vit] = [
    join(root, "images"),
    join(root, "texts"),
    join(root, "sentences"),
    join(root, "vit"),
  ];
  await writeImageSuite(images, 1);
  await merge(images, Object.keys(IMAGE_TASKS), join(root, "clip"));
  await writeTextSuite(texts);
  await merge(texts, Object.keys(TEXT_TASKS), join(root, "bert"));
  await cp(join(texts, "models", "base"), sentences, { recursive: true });
  await mkdir(join(sentences, "heads"));
  const two = { task: "two", classes: 2, featureSize: 16, logitScale: 20, bias: Float32Array.of(0.5, -0.25) };
  const notes = { features: { pooling: "mean", normalized: true }, maxLength: 12, classes: ["é", "no"] } as const;
  await writeHeadFile(join(sentences, "heads", "two.safetensors"), { ...two, weight: randomArray(32, 5) }, notes);
  await cp(join(ROOT, "test", "conformance", "image-encoders", "vit"), vit, { recursive: true });
  await mkdir(join(vit, "heads"));
  const hidden = { size: 5, weight: randomArray(60, 1), bias: randomArray(5, 2), activation: "relu" } as const;
  const adapter = { rank: 2, down: randomArray(24, 8), up: randomArray(24, 9) };
  const three = { task: "three", classes: 3, featureSize: 12, logitScale: 1.5, adapter, hidden };
  await writeHeadFile(
    join(vit, "heads", "three.safetensors"),
    { ...three, weight: randomArray(15, 6), bias: randomArray(3, 7) },
    { features: { pooling: "mean", normalized: false } },
  );
}

async function merge(suite: string, tasks: readonly string[], output: string): Promise<void> {
  const coefficients = join(suite, "coefficients.json");
  await writeFile(coefficients, coefficientsOf(tasks));
  const places = { presetsDir: join(ROOT, "configs", "presets"), cwd: suite };
  const { config } = await loadRunConfig(join(suite, "config.yaml"), ["granularity=task-wise"], places);
  const work = { cacheDir: join(suite, "cache"), signal: new AbortController().signal, log: () => {} };
  await mergeToDirectory(config, coefficients, output, work);
}

/** Inputs of a model, with their shapes. */
export interface Examples {
  readonly count: number;
  /** Tokens of each, padding included. */
  readonly length?: number;
  readonly values: ReadonlyMap<string, TensorValues>;
}

/** Features [B, E] and, with a head, logits and probabilities [B, C], by a static graph of just these sizes. */
export async function engineOutputs(
  engine: Engine,
  { model }: Pick<SavedEncoder, "model">,
  weights: ReadonlyMap<string, Float32Array>,
  { count, length, values }: Examples,
  head?: Head,
): Promise<ReadonlyMap<string, Float32Array>> {
  const heads = head === undefined ? [] : [head];
  const executable = await engine.compile({
    name: "expected",
    frozen: new Map<string, TensorSpec>([...weightSpecs(model), ...headSpecs(heads)]),
    inputs: model.inputs(count, length),
    build: (tensors) => {
      const get = lookup(tensors);
      const features = model.features(givenWeights(get), get);
      if (head === undefined) return new Map([["features", features]]);
      const logits = applyHead(head, features, get);
      return new Map(Object.entries({ features, logits, probabilities: tf.softmax(logits) }));
    },
  });
  await executable.bind(new Map<string, TensorSource>([...weightSources(model, weights), ...headSources(heads)]));
  const outputs = await executable.run(values);
  await executable.close();
  return outputs;
}
