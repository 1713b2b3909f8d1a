/** Our side of the comparisons of text encoders: the model of a folder, and features of texts that are tokens already. B texts, T tokens, E features. */
import { join } from "node:path";
import { openCheckpoint } from "../../dist/checkpoint/checkpoint.js";
import { paddedLength } from "../../dist/data/lengths.js";
import { lookup } from "../../dist/engine/lookup.js";
import type { Engine, Program, TensorValues } from "../../dist/engine/program.js";
import { readSentenceModules } from "../../dist/model/bert/sentence-modules.js";
import { bert, distilbert, roberta, textModelOf } from "../../dist/model/bert/text-families.js";
import type { FeatureChoice, Model } from "../../dist/model/family.js";
import { plainWeights } from "../../dist/model/model-weights.js";
import { weightName, weightSources, weightSpecs } from "../../dist/optimize/step-program.js";
import { modelWeights } from "../../dist/run/model-weights.js";

const BATCH = 8;

/** The model of a sentence encoder's folder, with the features that it says, or of any other with `usual`. `longest`: where texts are cut. */
export async function openTextModel(folder: string, usual: FeatureChoice, longest?: number) {
  const checkpoint = await openCheckpoint(folder);
  const where = join(folder, "config.json");
  const type: unknown =
    typeof checkpoint.config === "object" && checkpoint.config !== null && Reflect.get(checkpoint.config, "model_type");
  const family = [bert, roberta, distilbert].find(({ modelTypes }) => modelTypes.some((name) => name === type));
  if (family === undefined) throw new Error(`${where}: no family of texts has the model_type ${String(type)}`);
  const sentence = await readSentenceModules(folder);
  const config = family.parse(checkpoint.config, where);
  const model = textModelOf(family, config, sentence?.features ?? usual, where, longest ?? sentence?.longest);
  return { checkpoint, model };
}

/** Inputs of texts, padded to one length with the number 0. */
export function paddedInputs(
  model: Model,
  texts: readonly (readonly number[])[],
  length: number,
): Map<string, TensorValues> {
  const ids = new Int32Array(texts.length * length);
  const mask = new Uint8Array(texts.length * length);
  for (const [row, text] of texts.entries()) {
    ids.set(text, row * length);
    mask.fill(1, row * length, row * length + text.length);
  }
  const all = new Map<string, TensorValues>([
    ["input_ids", ids],
    ["attention_mask", mask],
    ["token_type_ids", new Uint8Array(mask.length)],
  ]);
  return new Map([...model.inputs(texts.length, length).keys()].map((name) => [name, all.get(name) ?? mask]));
}

/** Features [B, E] of texts, each padded to the least of the model's lengths. */
export async function featuresOf(
  engine: Engine,
  { checkpoint, model }: Awaited<ReturnType<typeof openTextModel>>,
  texts: readonly (readonly number[])[],
): Promise<Float32Array> {
  const weights = weightSources(model, await modelWeights(checkpoint, checkpoint, model));
  const features = new Float32Array(texts.length * model.featureSize);
  const lengths = model.lengths ?? [];
  for (const length of lengths) {
    const indices = [...texts.keys()].filter((index) => paddedLength(lengths, texts[index]?.length ?? 0) === length);
    if (indices.length === 0) continue;
    const executable = await engine.compile(featuresProgram(model, length));
    await executable.bind(new Map(weights));
    for (let first = 0; first < indices.length; first += BATCH) {
      const own = indices.slice(first, first + BATCH);
      // The last batch is filled with its first text.
      const rows = Array.from({ length: BATCH }, (_, row) => texts[own[row] ?? own[0] ?? 0] ?? []);
      const found = (await executable.run(paddedInputs(model, rows, length))).get("features");
      if (found === undefined) throw new Error("no features");
      for (const [row, index] of own.entries())
        features.set(found.subarray(row * model.featureSize, (row + 1) * model.featureSize), index * model.featureSize);
    }
    await executable.close();
  }
  return features;
}

function featuresProgram(model: Model, length: number): Program {
  return {
    name: "features",
    frozen: new Map(weightSpecs(model)),
    inputs: model.inputs(BATCH, length),
    build: (tensors) => {
      const get = lookup(tensors);
      const weights = plainWeights((name) => get(weightName(name)));
      return new Map([["features", model.features(weights, get)]]);
    },
  };
}
