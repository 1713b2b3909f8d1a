/** A ViT, DeiT or DINOv2 as a `Model`: what the merging of models knows of it. Its forward pass is in encoder.ts. */
import type { Preprocessing } from "../../data/image/preprocessing.js";
import type { FeatureChoice, Model } from "../family.js";
import { IMAGES, NOT_NORMALISED, patchGrid, servedImages } from "../patches.js";
import { transformerValues } from "../step-values.js";
import type { VitConfig } from "./config.js";
import { tokensInFront, vitFeatures, vitParts, vitTensors } from "./encoder.js";
import { vitLayout } from "./layout.js";

/** `preprocessing` is all that is done to an image before; its size is that of the images that the model is given. */
export function vitModel(config: VitConfig, preprocessing: Preprocessing, features: FeatureChoice): Model {
  const { patchSize, channels, hiddenSize, intermediateSize, isGated, poolerSize, type } = config;
  const { height, width } = preprocessing;
  const [rows, columns] = patchGrid(height, width, patchSize);
  const tokens = rows * columns + tokensInFront(config);
  // SwiGLU keeps gates and values where a plain MLP keeps one of the two.
  const inner = isGated ? 2 * intermediateSize : intermediateSize;
  const pooler = poolerSize ?? hiddenSize;
  const sizes = { cls: hiddenSize, mean: hiddenSize, cls_mean: 2 * hiddenSize, pooler, projection: hiddenSize };
  return {
    featureSize: sizes[features.pooling],
    layout: vitLayout(type, features.pooling === "pooler"),
    tensors: vitTensors(config, features),
    inputs: (count) => new Map([[IMAGES, { shape: [count, height, width, channels], dtype: "uint8" }]]),
    features: (weights, inputs, watch) => vitFeatures(config, preprocessing, features, weights, inputs(IMAGES), watch),
    parts: { ...vitParts(config, preprocessing, features), shape: (count) => [count, tokens, hiddenSize] },
    served: servedImages({ height, width, channels }, (...given) =>
      vitFeatures(config, NOT_NORMALISED, features, ...given),
    ),
    // Besides the tokens the images: as they come, normalised, and as patches.
    valuesPerExample: () =>
      transformerValues({ ...config, intermediateSize: inner }, config.layers, tokens) + 3 * channels * height * width,
    facts: [config, preprocessing, features],
    featureChoice: features,
  };
}
