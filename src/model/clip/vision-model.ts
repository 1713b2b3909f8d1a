/** The vision tower of CLIP as a `Model`: what the merging of models knows of it. Its forward pass is in vision.ts. */

import type { Preprocessing } from "../../data/image/preprocessing.js";
import type { Model } from "../family.js";
import { IMAGES, NOT_NORMALISED, type Normalization, servedImages } from "../patches.js";
import { transformerValues } from "../step-values.js";
import type { ClipVisionConfig } from "./config.js";
import { clipVisionLayout } from "./layout.js";
import { clipVisionFeatures, clipVisionParts, clipVisionTensors, PROJECTION_TENSOR } from "./vision.js";

/** `preprocessing` is all that is done to an image before; of it the forward pass normalises. */
export function clipVisionModel(config: ClipVisionConfig, preprocessing: Normalization | Preprocessing): Model {
  const { imageSize: side, patchSize, channels } = config;
  const tokens = Math.floor(side / patchSize) ** 2 + 1;
  return {
    featureSize: config.projectionSize,
    layout: clipVisionLayout,
    tensors: clipVisionTensors(config),
    projection: PROJECTION_TENSOR,
    inputs: (count) => new Map([[IMAGES, { shape: [count, side, side, channels], dtype: "uint8" }]]),
    features: (weights, inputs, watch) => clipVisionFeatures(config, preprocessing, weights, inputs(IMAGES), watch),
    parts: clipVisionParts(config, preprocessing),
    served: servedImages({ height: side, width: side, channels }, (...given) =>
      clipVisionFeatures(config, NOT_NORMALISED, ...given),
    ),
    // Besides the tokens the images: as they come, normalised, and as patches.
    valuesPerExample: () => transformerValues(config, config.layers, tokens) + 3 * channels * side ** 2,
    facts: [config, preprocessing],
    featureChoice: { pooling: "projection", normalized: true },
  };
}
