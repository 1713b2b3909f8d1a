/**
 * ViT, DeiT and DINOv2 as families: the files of a folder to a model and the encoder of its images, and the classifiers
 * that their fine-tuned models are saved with. Features are the class token after the last norm, not normalised, unless
 * others are asked for: what ViT's and DeiT's classifiers read, and what DINOv2 calls its output.
 */
import { join } from "node:path";
import { imageEncoder } from "../../data/image/pixels.js";
import type { Preprocessing } from "../../data/image/preprocessing.js";
import { readPreprocessing } from "../../data/image/read-preprocessing.js";
import { CheckpointError } from "../../errors.js";
import type { ClassifierLayout, FeatureChoice, ModelFamily, Pooling } from "../family.js";
import { parseVitConfig, type VitConfig, type VitType } from "./config.js";
import { tokensInFront, vitTensors } from "./encoder.js";
import { MASK_TOKEN, vitLayout } from "./layout.js";
import { vitPython } from "./python.js";
import { vitModel } from "./vit-model.js";

const CONFIG = "config.json";
const USUAL: FeatureChoice = { pooling: "cls", normalized: false };

const classifier = (architecture: string, pooling: Pooling, type: VitType): ClassifierLayout => ({
  architecture,
  features: { pooling, normalized: false },
  weight: "classifier.weight",
  bias: "classifier.bias",
  saved: {
    modelType: type,
    prefix: `${type}.`,
    // DINOv2's stands for patches that are hidden in training; without it transformers draws a new one, and says so.
    ...(type.startsWith("dinov2") ? { along: [MASK_TOKEN] } : {}),
  },
});

export const vitFamily: ModelFamily = family({
  name: "vit",
  title: "ViT",
  types: ["vit"],
  poolings: ["cls", "mean", "cls_mean", "pooler"],
  classifiers: [classifier("ViTForImageClassification", "cls", "vit")],
});

export const deitFamily: ModelFamily = family({
  name: "deit",
  title: "DeiT",
  types: ["deit"],
  poolings: ["cls", "mean", "cls_mean", "pooler"],
  classifiers: [classifier("DeiTForImageClassification", "cls", "deit")],
  unreadClassifiers: new Map([
    [
      "DeiTForImageClassificationWithTeacher",
      "the mean of two classifiers, of the class token and of the distillation token",
    ],
  ]),
});

export const dinov2Family: ModelFamily = family({
  name: "dinov2",
  title: "DINOv2, also with registers",
  types: ["dinov2", "dinov2_with_registers"],
  poolings: ["cls", "mean", "cls_mean"],
  classifiers: [
    classifier("Dinov2ForImageClassification", "cls_mean", "dinov2"),
    classifier("Dinov2WithRegistersForImageClassification", "cls_mean", "dinov2_with_registers"),
  ],
});

interface FamilyParts extends Pick<ModelFamily, "name" | "title" | "poolings" | "classifiers" | "unreadClassifiers"> {
  readonly types: readonly [VitType, ...VitType[]];
}

function family({ types, ...parts }: FamilyParts): ModelFamily {
  return {
    ...parts,
    kind: "image",
    modelTypes: types,
    // Of transformers' examples of image classification, rounded up; a learned class token needs no small steps.
    fineTuning: { learningRate: 5e-5, loraLearningRate: 5e-4 },
    // With the pooler: whether features are read from it is not known before a model is opened.
    layout: vitLayout(types[0], parts.poolings.includes("pooler")),
    open: async ({ config: json, folder }, features = USUAL) => {
      const where = join(folder, CONFIG);
      const config = parseVitConfig(types, json, where);
      requirePooling(parts, features, where);
      const preprocessing = await preprocessingOf(config, folder);
      return { model: vitModel(config, preprocessing, features), encoder: imageEncoder(preprocessing) };
    },
    python: ({ config, features }) => {
      const front = tokensInFront(parseVitConfig(types, config, CONFIG));
      return vitPython(features, { front, hasPooler: parts.poolings.includes("pooler") });
    },
    tensors: (json, where) => vitTensors(parseVitConfig(types, json, where), USUAL),
  };
}

function requirePooling(
  { title, poolings }: Pick<ModelFamily, "title" | "poolings">,
  { pooling }: FeatureChoice,
  where: string,
): void {
  if (poolings.includes(pooling)) return;
  throw new CheckpointError(
    `${where}: expected features that ${title} has (pooling ${poolings.join(", ")}), found ${pooling}. Choose one of them.`,
  );
}

/** DINOv2 takes images of any size that holds a patch, the others those of image_size alone, as transformers does. */
async function preprocessingOf({ type, imageSize, patchSize }: VitConfig, folder: string): Promise<Preprocessing> {
  if (type === "vit" || type === "deit") return readPreprocessing(folder, imageSize);
  const preprocessing = await readPreprocessing(folder);
  const { height, width } = preprocessing;
  if (Math.min(height, width) >= patchSize) return preprocessing;
  throw new CheckpointError(
    `${folder}: expected a preprocessing to images of at least ${patchSize}x${patchSize} (patch_size of config.json), found ${width}x${height}`,
  );
}
