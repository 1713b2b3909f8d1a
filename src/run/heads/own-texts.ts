/** A model whose examples are texts, as what embeds the names of its classes: zero-shot heads of sentence encoders. P texts, E features. */
import type { Checkpoint } from "../../checkpoint/checkpoint.js";
import type { Encoder } from "../../data/encoder.js";
import type { ExampleStore } from "../../data/examples.js";
import type { Dataset } from "../../data/readers/dataset-reader.js";
import { textsInMemory } from "../../data/text/texts-in-memory.js";
import { assert, ConfigError } from "../../errors.js";
import type { Model } from "../../model/family.js";
import type { TextEmbedder } from "../../model/text-embedder.js";
import { modelWeights, weightHashes } from "../suite/stored-weights.js";
import { exampleFeatures } from "./example-features.js";

/** Sums of float32 squares. */
const UNIT_TOLERANCE = 1e-3;

export interface TextModelOfSuite {
  readonly base: Checkpoint;
  readonly model: Model;
  readonly encoder: Encoder;
}

/** The base of a suite; its logit scale is the suite's. */
export function ownTexts({ base, model, encoder }: TextModelOfSuite): TextEmbedder {
  const open = (texts: readonly string[]): Promise<ExampleStore> => encoder.open(datasetOf(texts), {});
  return {
    path: base.path,
    featureSize: model.featureSize,
    logitScale: undefined,
    facts: [...model.facts],
    hashes: () => weightHashes(base, base, model),
    tokens: async (texts) => {
      const store = await open(texts);
      return texts.map((_, index) => valuesOf(model, store, index));
    },
    features: async (engine, texts) => {
      const weights = await modelWeights(base, base, model);
      const featuresPE = await exampleFeatures(engine, model, weights, await open(texts));
      const first = Math.hypot(...featuresPE.subarray(0, model.featureSize));
      if (Math.abs(first - 1) > UNIT_TOLERANCE)
        throw new ConfigError(
          `${base.path}: expected features of length 1 for zero-shot heads, whose rows are directions, found ${first.toPrecision(3)}; say \`features: {pooling: mean, normalize: true}\` in suite.yaml, or take a sentence encoder with a Normalize module`,
        );
      return featuresPE;
    },
  };
}

function datasetOf(texts: readonly string[]): Dataset {
  const locate = (index: number): string => `the prompt ${JSON.stringify(texts[index])}`;
  return textsInMemory(texts, { name: "names of classes", split: "prompts", locate });
}

/** What the model is given of a text, but for its padding: all inputs one behind the other. */
function valuesOf({ mask }: Model, store: ExampleStore, index: number): readonly number[] {
  const inputs = store.gather(Uint32Array.of(index), store.lengths?.[index]);
  assert(mask !== undefined && inputs.has(mask), "texts without a mask");
  return [...inputs].flatMap(([name, values]) => (name === mask ? [] : [...values]));
}
