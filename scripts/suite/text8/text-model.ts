/** The base of text8 as the recipe uses it: its model and tokenizer, texts as its examples, and any model's weights by canonical name. */

import type { Checkpoint } from "../../../dist/checkpoint/checkpoint.js";
import { openDataset } from "../../../dist/data/dataset.js";
import type { Encoder } from "../../../dist/data/encoder.js";
import { requireLabels } from "../../../dist/data/examples.js";
import { textsInMemory } from "../../../dist/data/text/texts-in-memory.js";
import type { LabelledExamples, Model } from "../../../dist/internal.js";
import { familyOf } from "../../../dist/model/families.js";
import { openBase, openExpert } from "../../../dist/model/open-models.js";
import { modelWeights } from "../../../dist/run/suite/stored-weights.js";
import type { LabelledText } from "./labelled-text.js";
import { MAX_TOKENS } from "./training-plan.js";

export interface TextBase {
  readonly checkpoint: Checkpoint;
  readonly model: Model;
  readonly encoder: Encoder;
}

/** Opens the base's folder; its features are those that its own modules.json says. */
export async function openTextBase(folder: string): Promise<TextBase> {
  const checkpoint = await openBase(folder);
  const { config } = checkpoint;
  return { checkpoint, ...(await familyOf(config, folder).open({ config, folder })) };
}

/** All weights of a model: a folder, or an adapter of the base. */
export async function weightsAt(path: string, { checkpoint, model }: TextBase): Promise<Map<string, Float32Array>> {
  return modelWeights(await openExpert(path, checkpoint), checkpoint, model);
}

/** The base's own. */
export function baseWeights({ checkpoint, model }: TextBase): Promise<Map<string, Float32Array>> {
  return modelWeights(checkpoint, checkpoint, model);
}

/** Labelled texts in memory as examples. */
export async function textExamples(
  { encoder }: TextBase,
  name: string,
  texts: readonly LabelledText[],
): Promise<LabelledExamples> {
  const place = { name, split: "train", locate: (index: number) => `text ${index} of ${name}` };
  const dataset = {
    ...textsInMemory(
      texts.map(({ text }) => text),
      place,
    ),
    labels: Int32Array.from(texts, ({ label }) => label),
  };
  return requireLabels(await encoder.open(dataset, { maxLength: MAX_TOKENS }), name);
}

/** A shipped split of a task's folder. */
export async function shippedExamples({ encoder }: TextBase, path: string, split: string): Promise<LabelledExamples> {
  const dataset = await openDataset({ kind: "text", path, split, where: path });
  return requireLabels(await encoder.open(dataset, { maxLength: MAX_TOKENS }), path);
}
