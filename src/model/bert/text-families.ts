/**
 * BERT, RoBERTa and DistilBERT as data: they differ in names, in where positions begin, in whether there are segments and a pooler, and in the heads
 * on top. Source of the heads: transformers, *ForSequenceClassification. Classifiers of tokens and of spans are none of texts.
 */
import type { TowerLayout } from "../../checkpoint/layout/tensor-layout.js";
import { CheckpointError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import type { ClassifierLayout, FeatureChoice, Model } from "../family.js";
import { parseBertConfig, parseDistilbertConfig, parseRobertaConfig, type TextEncoderConfig } from "./config.js";
import {
  bertLayout,
  bertNames,
  distilbertLayout,
  distilbertNames,
  robertaLayout,
  type TextEncoderNames,
} from "./layout.js";
import { TEXT_POOLINGS, type TextFeatures, type TextPooling } from "./pooling.js";
import { textModel } from "./text-model.js";

export interface TextFamily {
  readonly name: string;
  readonly title: string;
  readonly modelTypes: readonly string[];
  readonly names: TextEncoderNames;
  readonly layout: (hasPooler: boolean) => TowerLayout;
  readonly poolings: readonly TextPooling[];
  readonly classifiers: readonly ClassifierLayout[];
  readonly parse: (json: unknown, where: string) => TextEncoderConfig;
  /** Whether its tokenizer tells the texts of a pair apart. */
  readonly hasSegments: boolean;
}

const FIRST_TOKEN = { pooling: "cls", normalized: false } as const satisfies FeatureChoice;

/** RoBERTa's class in each of the families that took it over. */
const robertaClassifier = ([name, modelType]: readonly [string, string]): ClassifierLayout => ({
  architecture: `${name}ForSequenceClassification`,
  features: FIRST_TOKEN,
  weight: "classifier.out_proj.weight",
  bias: "classifier.out_proj.bias",
  hidden: { weight: "classifier.dense.weight", bias: "classifier.dense.bias", activation: "tanh" },
  // Those that took the class over kept the name of its encoder.
  saved: { modelType, prefix: "roberta." },
});

export const bert: TextFamily = {
  name: "bert",
  title: "BERT (also MiniLM, BGE, E5)",
  modelTypes: ["bert"],
  names: bertNames,
  layout: bertLayout,
  poolings: TEXT_POOLINGS,
  classifiers: [
    {
      architecture: "BertForSequenceClassification",
      features: { pooling: "pooler", normalized: false },
      weight: "classifier.weight",
      bias: "classifier.bias",
      saved: { modelType: "bert", prefix: "bert." },
    },
  ],
  parse: parseBertConfig,
  hasSegments: true,
};

export const roberta: TextFamily = {
  name: "roberta",
  title: "RoBERTa (also XLM-RoBERTa, CamemBERT)",
  modelTypes: ["roberta", "xlm-roberta", "camembert"],
  names: bertNames,
  layout: robertaLayout,
  poolings: TEXT_POOLINGS,
  classifiers: (
    [
      ["Roberta", "roberta"],
      ["XLMRoberta", "xlm-roberta"],
      ["Camembert", "camembert"],
    ] as const
  ).map(robertaClassifier),
  parse: parseRobertaConfig,
  hasSegments: false,
};

export const distilbert: TextFamily = {
  name: "distilbert",
  title: "DistilBERT",
  modelTypes: ["distilbert"],
  names: distilbertNames,
  layout: distilbertLayout,
  poolings: TEXT_POOLINGS.filter((pooling) => pooling !== "pooler"),
  classifiers: [
    {
      architecture: "DistilBertForSequenceClassification",
      features: FIRST_TOKEN,
      weight: "classifier.weight",
      bias: "classifier.bias",
      hidden: { weight: "pre_classifier.weight", bias: "pre_classifier.bias", activation: "relu" },
      saved: { modelType: "distilbert", prefix: "distilbert." },
    },
  ],
  parse: parseDistilbertConfig,
  hasSegments: false,
};

/** The model of a config. Texts are cut at `longest` tokens, at the end of the positions if it is absent. Throws CheckpointError for features that the family has not. */
export function textModelOf(
  family: TextFamily,
  config: TextEncoderConfig,
  asked: FeatureChoice,
  where: string,
  longest?: number,
): Model {
  const features = ours(asked, family, where);
  // One row of segments is the same for all tokens.
  const hasSegments = family.hasSegments && config.segments > 1;
  const encoder = { config, names: family.names, hasSegments, features };
  return textModel(encoder, family.layout(features.pooling === "pooler"), longest);
}

/** Throws CheckpointError for a pooling that the family has not. */
function ours({ pooling, normalized }: FeatureChoice, { poolings, title }: TextFamily, where: string): TextFeatures {
  const found = poolings.find((name) => name === pooling);
  if (found !== undefined) return { pooling: found, normalized };
  throw new CheckpointError(
    `${where}: expected one of the poolings of ${title} (${poolings.join(", ")}), found ${quote(pooling)}`,
  );
}
