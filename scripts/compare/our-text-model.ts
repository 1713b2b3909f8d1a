/** Our side of the comparisons of text encoders: the model of a folder, and features of texts that are tokens already. B texts, T tokens, E features. */
import { join } from "node:path";
import { type Checkpoint, openCheckpoint } from "../../dist/checkpoint/checkpoint.js";
import type { ExampleValues } from "../../dist/data/examples.js";
import type { Engine } from "../../dist/engine/program.js";
import { readSentenceFeatures, sentenceLimit } from "../../dist/model/bert/sentence-modules.js";
import { bert, distilbert, roberta, textModelOf } from "../../dist/model/bert/text-families.js";
import type { FeatureChoice, Model } from "../../dist/model/family.js";
import { exampleFeatures } from "../../dist/run/heads/example-features.js";
import { modelWeights } from "../../dist/run/suite/stored-weights.js";

/** The model of a sentence encoder's folder, with the features that it says, or of any other with `usual`. `longest`: where texts are cut. */
export async function openTextModel(folder: string, usual: FeatureChoice, longest?: number) {
  const checkpoint = await openCheckpoint(folder);
  const where = join(folder, "config.json");
  const type: unknown =
    typeof checkpoint.config === "object" && checkpoint.config !== null && Reflect.get(checkpoint.config, "model_type");
  const family = [bert, roberta, distilbert].find(({ modelTypes }) => modelTypes.some((name) => name === type));
  if (family === undefined) throw new Error(`${where}: no family of texts has the model_type ${String(type)}`);
  const features = (await readSentenceFeatures(folder)) ?? usual;
  const config = family.parse(checkpoint.config, where);
  const model = textModelOf(family, config, features, where, longest ?? (await sentenceLimit(folder)));
  return { checkpoint, model };
}

/** Inputs of texts, padded to one length with the number 0. */
export function paddedInputs(
  model: Model,
  texts: readonly (readonly number[])[],
  length: number,
): Map<string, ExampleValues> {
  const ids = new Int32Array(texts.length * length);
  const mask = new Uint8Array(texts.length * length);
  for (const [row, text] of texts.entries()) {
    ids.set(text, row * length);
    mask.fill(1, row * length, row * length + text.length);
  }
  const all = new Map<string, ExampleValues>([
    ["input_ids", ids],
    ["attention_mask", mask],
    ["token_type_ids", new Uint8Array(mask.length)],
  ]);
  return new Map([...model.inputs(texts.length, length).keys()].map((name) => [name, all.get(name) ?? mask]));
}

/** Features [B, E] of texts, each padded to the least of the model's lengths. `base`: has what the checkpoint, an adapter, does not change. */
export async function featuresOf(
  engine: Engine,
  {
    checkpoint,
    model,
    base = checkpoint,
  }: Pick<Awaited<ReturnType<typeof openTextModel>>, "model"> & {
    readonly checkpoint: Checkpoint;
    readonly base?: Checkpoint;
  },
  texts: readonly (readonly number[])[],
): Promise<Float32Array> {
  const weights = await modelWeights(checkpoint, base, model);
  return exampleFeatures(engine, model, weights, {
    kind: "text",
    name: "texts",
    size: texts.length,
    lengths: Int32Array.from(texts, ({ length }) => length),
    gather: (indices, length = 0) =>
      paddedInputs(
        model,
        [...indices].map((index) => texts[index] ?? []),
        length,
      ),
  });
}
