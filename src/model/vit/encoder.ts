/**
 * ViT, DeiT and DINOv2 as functions of their parameter tensors: uint8 images in, features out. They differ in the
 * tokens in front of the patches and in whether positions are interpolated. Parity: transformers,
 * models/vit/modeling_vit.py, deit/modeling_deit.py, dinov2/modeling_dinov2.py and dinov2_with_registers. B images, P
 * patches, S tokens in front of them, T = S + P tokens, D width, E features.
 */
import { type Tensor, tf } from "../../engine/tf.js";
import type { FeatureChoice, ModelParts, ModelTensor, ModelWatch } from "../family.js";
import type { ModelWeights } from "../model-weights.js";
import { classToken, embedPatches, forEachImage, IMAGES, type Normalization, patchGrid } from "../patches.js";
import { throughParts } from "../through-parts.js";
import {
  blockTensors,
  normTensors,
  type TowerLayers,
  towerLayers,
  transformerBlock,
  unitRows,
} from "../transformer-block.js";
import type { VitConfig } from "./config.js";
import {
  blockForm,
  blockPrefix,
  CLASS_TOKEN,
  DISTILLATION_TOKEN,
  EMBEDDINGS,
  LAST_NORM,
  PATCHES,
  POOLER,
  POSITIONS,
  REGISTER_TOKENS,
} from "./layout.js";
import { interpolatePositions } from "./positions.js";

/**
 * Tokens in front of the patches that have a row in the table of positions: the class token and DeiT's distillation
 * token.
 */
function placedTokens({ type }: VitConfig): readonly string[] {
  return type === "deit" ? [CLASS_TOKEN, DISTILLATION_TOKEN] : [CLASS_TOKEN];
}

/** S, with the registers, which have no position. */
export function tokensInFront(config: VitConfig): number {
  return placedTokens(config).length + config.registers;
}

/** Every parameter tensor that the features depend on with its shape and role, in forward order. */
export function vitTensors(config: VitConfig, { pooling }: Pick<FeatureChoice, "pooling">): ModelTensor[] {
  const { hiddenSize: width, patchSize, channels, registers, poolerSize, imageSize } = config;
  const [rows, columns] = patchGrid(imageSize, imageSize, patchSize);
  const placed = placedTokens(config);
  const before = [
    ...placed.map((name) => ({ name, shape: [1, 1, width] })),
    ...(registers > 0 ? [{ name: REGISTER_TOKENS, shape: [1, registers, width] }] : []),
    { name: POSITIONS, shape: [1, rows * columns + placed.length, width] },
    { name: `${PATCHES}.weight`, shape: [width, channels, patchSize, patchSize] },
    { name: `${PATCHES}.bias`, shape: [width] },
  ];
  const pooler = [
    { name: `${POOLER}.weight`, shape: [poolerSize ?? width, width], sharesInput: `${POOLER}.weight` },
    { name: `${POOLER}.bias`, shape: [poolerSize ?? width] },
  ];
  const behind = [...normTensors(LAST_NORM, width), ...(pooling === "pooler" ? pooler : [])];
  const form = blockForm(config);
  return [
    ...before.map((tensor): ModelTensor => ({ ...tensor, part: "embeddings" })),
    ...Array.from({ length: config.layers }, (_, index) =>
      blockTensors(blockPrefix(index), index, config, form),
    ).flat(),
    ...behind.map((tensor): ModelTensor => ({ ...tensor, part: "output" })),
  ];
}

/** imagesBHWC holds pixel levels 0..255 as float32; weights are looked up by canonical name. */
export function vitFeatures(
  config: VitConfig,
  normalization: Normalization,
  choice: FeatureChoice,
  weights: ModelWeights,
  imagesBHWC: Tensor,
  watch: ModelWatch = {},
): Tensor {
  return throughParts(vitParts(config, normalization, choice), weights, () => imagesBHWC, watch);
}

/** The encoder in parts. How many tokens there are depends on the images. */
export function vitParts(
  config: VitConfig,
  normalization: Normalization,
  choice: FeatureChoice,
): Omit<ModelParts, "shape"> {
  const form = blockForm(config);
  const readsPatches = choice.pooling === "mean" || choice.pooling === "cls_mean";
  return {
    blocks: config.layers,
    before: (weights, inputs, watch) => {
      const hiddenBTD = embed(config, normalization, weights, inputs(IMAGES));
      watch?.part?.(EMBEDDINGS, hiddenBTD);
      return hiddenBTD;
    },
    block: (index, weights, hiddenBTD, _mask, watch = {}) => {
      // Where only the class token leaves the last block, the other tokens are keys and values there and nothing else.
      const isCut = index === config.layers - 1 && !readsPatches && watch.wholeLastBlock !== true;
      const layers = towerLayers(config, weights, watch, form);
      return transformerBlock(layers, blockPrefix(index), hiddenBTD, { going: isCut ? classToken : undefined });
    },
    behind: (weights, hiddenBTD, _mask, watch) => {
      const layers = towerLayers(config, weights, watch, form);
      const normedBTD = layers.norm(LAST_NORM, readsPatches ? hiddenBTD : classToken(hiddenBTD));
      layers.observe(LAST_NORM, normedBTD);
      const pooledBE = pooled(config, choice, layers, normedBTD);
      return choice.normalized ? unitRows(pooledBE) : pooledBE;
    },
  };
}

function pooled(config: VitConfig, { pooling }: FeatureChoice, layers: TowerLayers, normedBTD: Tensor): Tensor {
  const classBD = () => tf.reshape(classToken(normedBTD), [-1, config.hiddenSize]);
  if (pooling === "cls") return classBD();
  if (pooling === "pooler") {
    const poolerBE = tf.tanh(layers.dense(POOLER, classBD()));
    layers.observe(POOLER, poolerBE);
    return poolerBE;
  }
  const patchesBD = tf.mean(tf.slice(normedBTD, [0, tokensInFront(config), 0], [-1, -1, -1]), 1);
  return pooling === "mean" ? patchesBD : tf.concat([classBD(), patchesBD], 1);
}

/** The tokens in front and the patches, positions added: [B, T, D]. */
function embed(config: VitConfig, normalization: Normalization, weights: ModelWeights, imagesBHWC: Tensor): Tensor {
  const { hiddenSize: width, registers } = config;
  const { get } = weights;
  const patchesBPD = embedPatches(imagesBHWC, normalization, get(`${PATCHES}.weight`), get(`${PATCHES}.bias`));
  const [images = 1] = patchesBPD.shape;
  const placed = placedTokens(config);
  const table = tf.reshape(get(POSITIONS), [-1, width]);
  const tokensSD = tf.concat(
    placed.map((name) => tf.reshape(get(name), [1, width])),
    0,
  );
  const placedSD = tf.add(tokensSD, tf.slice(table, [0, 0], [placed.length, width]));
  const frontSD =
    registers > 0 ? tf.concat([placedSD, tf.reshape(get(REGISTER_TOKENS), [registers, width])], 0) : placedSD;
  const positionsPD = patchPositions(config, tf.slice(table, [placed.length, 0], [-1, width]), imagesBHWC.shape);
  return tf.concat([forEachImage(frontSD, images, width), tf.add(patchesBPD, positionsPD)], 1);
}

/** The positions of the patches of images of this shape; those of the table where the sizes agree. */
function patchPositions(config: VitConfig, tablePD: Tensor, [, height = 0, width = 0]: readonly number[]): Tensor {
  const { imageSize, patchSize, type } = config;
  const [own, wanted] = [patchGrid(imageSize, imageSize, patchSize), patchGrid(height, width, patchSize)];
  if (own[0] === wanted[0] && own[1] === wanted[1]) return tablePD;
  return interpolatePositions(tablePD, own, wanted, { isAntialiased: type === "dinov2_with_registers" });
}
