/**
 * The CLIP vision tower as a function of its parameter tensors: uint8 images in, L2-normalised features out.
 * Parity: transformers, models/clip/modeling_clip.py (CLIPVisionModelWithProjection); pre-LN blocks of
 * Radford et al. 2021. Names are the canonical Hugging Face ones, `pre_layrnorm` (sic) included.
 * B images, H W pixels, C channels, P patches (T = P + 1 tokens), D width, E features.
 */
import { type Tensor, tf } from "../../engine/tf.js";
import type { ModelParts, ModelTensor, ModelWatch } from "../family.js";
import { linearLayer } from "../linear-layer.js";
import type { ModelWeights } from "../model-weights.js";
import { classToken, embedPatches, forEachImage, IMAGES, type Normalization, patchGrid } from "../patches.js";
import { throughParts } from "../through-parts.js";
import { blockTensors, normTensors, towerLayers, transformerBlock, unitRows } from "../transformer-block.js";
import type { ClipVisionConfig } from "./config.js";

const EMBEDDINGS = "vision_model.embeddings";
/** The linear map from the class token to the features; FusionBench keeps it frozen. */
export const PROJECTION_TENSOR = "visual_projection.weight";

/** Every parameter tensor of the tower with its shape and role, in forward order. */
export function clipVisionTensors(config: ClipVisionConfig): ModelTensor[] {
  const { hiddenSize: width, patchSize, channels, imageSize } = config;
  const [rows, columns] = patchGrid(imageSize, imageSize, patchSize);
  const positions = rows * columns + 1;
  const before = [
    { name: `${EMBEDDINGS}.class_embedding`, shape: [width] },
    { name: `${EMBEDDINGS}.position_embedding.weight`, shape: [positions, width] },
    { name: `${EMBEDDINGS}.patch_embedding.weight`, shape: [width, channels, patchSize, patchSize] },
    ...normTensors("vision_model.pre_layrnorm", width),
  ];
  const behind = [
    ...normTensors("vision_model.post_layernorm", width),
    { name: PROJECTION_TENSOR, shape: [config.projectionSize, width], sharesInput: PROJECTION_TENSOR },
  ];
  return [
    ...before.map((tensor): ModelTensor => ({ ...tensor, part: "embeddings" })),
    ...Array.from({ length: config.layers }, (_, index) => blockTensors(blockPrefix(index), index, config)).flat(),
    ...behind.map((tensor): ModelTensor => ({ ...tensor, part: "output" })),
  ];
}

function blockPrefix(index: number): string {
  return `vision_model.encoder.layers.${index}`;
}

/**
 * The tower. imagesBHWC holds pixel levels 0..255 as float32; weights are looked up by canonical name.
 * Returns features [B, E] of length 1.
 */
export function clipVisionFeatures(
  config: ClipVisionConfig,
  normalization: Normalization,
  weights: ModelWeights,
  imagesBHWC: Tensor,
  watch: ModelWatch = {},
): Tensor {
  return throughParts(clipVisionParts(config, normalization), weights, () => imagesBHWC, watch);
}

/** The tower in parts. */
export function clipVisionParts(config: ClipVisionConfig, normalization: Normalization): ModelParts {
  const [rows, columns] = patchGrid(config.imageSize, config.imageSize, config.patchSize);
  return {
    blocks: config.layers,
    shape: (count) => [count, rows * columns + 1, config.hiddenSize],
    before: (weights, inputs, watch) => {
      const { norm, observe } = towerLayers(config, weights, watch);
      const embedded = embed(config, normalization, weights, inputs(IMAGES));
      observe(EMBEDDINGS, embedded);
      const hiddenBTD = norm("vision_model.pre_layrnorm", embedded);
      observe("vision_model.pre_layrnorm", hiddenBTD);
      return hiddenBTD;
    },
    block: (index, weights, hiddenBTD, _mask, watch = {}) => {
      // Only the class token leaves the last block: there, the other tokens are keys and values and nothing else.
      const isCut = index === config.layers - 1 && watch.wholeLastBlock !== true;
      const layers = towerLayers(config, weights, watch);
      return transformerBlock(layers, blockPrefix(index), hiddenBTD, { going: isCut ? classToken : undefined });
    },
    behind: (weights, hiddenBTD, _mask, watch = {}) => {
      const { norm, observe } = towerLayers(config, weights, watch);
      const classTokenBD = tf.reshape(classToken(hiddenBTD), [-1, config.hiddenSize]);
      const normalizedBD = norm("vision_model.post_layernorm", classTokenBD);
      const featuresBE = linearLayer(weights, { weight: PROJECTION_TENSOR }, normalizedBD, watch);
      const unitBE = unitRows(featuresBE);
      observe(PROJECTION_TENSOR, unitBE);
      return unitBE;
    },
  };
}

/** Patches with the class token in front and positions added: [B, T, D]. */
function embed(
  { hiddenSize }: ClipVisionConfig,
  normalization: Normalization,
  weights: ModelWeights,
  imagesBHWC: Tensor,
): Tensor {
  const patchesBPD = embedPatches(imagesBHWC, normalization, weights.get(`${EMBEDDINGS}.patch_embedding.weight`));
  const [images = 1] = patchesBPD.shape;
  const classTokens = forEachImage(weights.get(`${EMBEDDINGS}.class_embedding`), images, hiddenSize);
  const tokensBTD = tf.concat([classTokens, patchesBPD], 1);
  return tf.add(tokensBTD, weights.get(`${EMBEDDINGS}.position_embedding.weight`));
}
