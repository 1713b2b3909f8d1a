/** A text encoder as a `Model`: what the merging of models knows of it. Its forward pass is in encoder.ts. */
import type { TowerLayout } from "../../checkpoint/layout/tensor-layout.js";
import { usualLengths } from "../../data/lengths.js";
import type { Model } from "../family.js";
import { transformerValues } from "../step-values.js";
import { throughParts } from "../through-parts.js";
import { longestText } from "./config.js";
import { MASK, SEGMENTS, type TextEncoder, TOKENS, textEncoderParts, textEncoderTensors } from "./encoder.js";

/** `longest`: where texts are cut, its ends included; at the end of the positions if absent. */
export function textModel(
  encoder: TextEncoder,
  layout: TowerLayout,
  longest: number = longestText(encoder.config),
): Model {
  const { config, hasSegments, features } = encoder;
  const lengths = usualLengths(longest);
  const parts = textEncoderParts(encoder);
  return {
    featureSize: config.hiddenSize,
    layout,
    tensors: textEncoderTensors(encoder),
    lengths,
    mask: MASK,
    inputs: (count, length = longest) => {
      const shape = [count, length];
      return new Map([
        [TOKENS, { shape, dtype: "int32" }],
        [MASK, { shape, dtype: "uint8" }],
        ...(hasSegments ? ([[SEGMENTS, { shape, dtype: "uint8" }]] as const) : []),
      ]);
    },
    features: (weights, inputs, watch) => throughParts(parts, weights, inputs, watch, MASK),
    parts: { ...parts, shape: (count, length = longest) => [count, length, config.hiddenSize] },
    valuesPerExample: (length = longest) => transformerValues(config, config.layers, length),
    facts: [config, hasSegments, features, lengths],
    featureChoice: features,
  };
}
