/** The towers that are measured: the shipped suite's, and the published CLIP shapes of the paper's tables. */
import type { ClipVisionConfig } from "../../dist/internal.js";

const COMMON = {
  channels: 3,
  activation: "quick_gelu",
  layerNormEpsilon: 1e-5,
} as const satisfies Partial<ClipVisionConfig>;

export const SHAPES = {
  mini: {
    ...COMMON,
    hiddenSize: 128,
    intermediateSize: 512,
    layers: 6,
    heads: 4,
    imageSize: 32,
    patchSize: 8,
    projectionSize: 64,
  },
  "vit-b-32": {
    ...COMMON,
    hiddenSize: 768,
    intermediateSize: 3072,
    layers: 12,
    heads: 12,
    imageSize: 224,
    patchSize: 32,
    projectionSize: 512,
  },
  "vit-l-14": {
    ...COMMON,
    hiddenSize: 1024,
    intermediateSize: 4096,
    layers: 24,
    heads: 16,
    imageSize: 224,
    patchSize: 14,
    projectionSize: 768,
  },
} as const satisfies Record<string, ClipVisionConfig>;

export type ShapeName = keyof typeof SHAPES;
export const SHAPE_NAMES: readonly ShapeName[] = ["mini", "vit-b-32", "vit-l-14"];
