/**
 * The CLIP vision tower as a function of its parameter tensors: uint8 images in, L2-normalised features out.
 * Parity: transformers, models/clip/modeling_clip.py (CLIPVisionModelWithProjection); pre-LN blocks of
 * Radford et al. 2021. Names are the canonical Hugging Face ones, `pre_layrnorm` (sic) included.
 * B images, H W pixels, C channels, P patches (T = P + 1 tokens), D width, E features, N heads.
 */
import type { Preprocessing } from "../data/preprocessing.js";
import { activate } from "../engine/ops/activation.js";
import { attention } from "../engine/ops/attention.js";
import { layerNorm } from "../engine/ops/layer-norm.js";
import { linear } from "../engine/ops/linear.js";
import { type Tensor, tf } from "../engine/tf.js";
import { assert } from "../errors.js";
import type { ClipVisionConfig } from "./clip-config.js";

export interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** How a pixel level becomes an input: (level * rescaleFactor - mean) / std, per channel. */
export type Normalization = Pick<Preprocessing, "rescaleFactor" | "mean" | "std">;

const EMBEDDINGS = "vision_model.embeddings";
/** The linear map from the class token to the features; FusionBench keeps it frozen. */
export const PROJECTION_TENSOR = "visual_projection.weight";

/** Every parameter tensor of the tower with its shape, in forward order: the order of "layers" everywhere in this project. */
export function clipVisionTensors(config: ClipVisionConfig): NamedShape[] {
  const { hiddenSize: width, intermediateSize: inner, patchSize, channels } = config;
  const positions = ((config.imageSize / patchSize) | 0) ** 2 + 1;
  const norm = (name: string): NamedShape[] => [
    { name: `${name}.weight`, shape: [width] },
    { name: `${name}.bias`, shape: [width] },
  ];
  const dense = (name: string, outputs: number, inputs: number): NamedShape[] => [
    { name: `${name}.weight`, shape: [outputs, inputs] },
    { name: `${name}.bias`, shape: [outputs] },
  ];
  const block = (index: number): NamedShape[] => {
    const prefix = blockPrefix(index);
    return [
      ...norm(`${prefix}.layer_norm1`),
      ...["q_proj", "k_proj", "v_proj", "out_proj"].flatMap((part) =>
        dense(`${prefix}.self_attn.${part}`, width, width),
      ),
      ...norm(`${prefix}.layer_norm2`),
      ...dense(`${prefix}.mlp.fc1`, inner, width),
      ...dense(`${prefix}.mlp.fc2`, width, inner),
    ];
  };
  return [
    { name: `${EMBEDDINGS}.class_embedding`, shape: [width] },
    { name: `${EMBEDDINGS}.position_embedding.weight`, shape: [positions, width] },
    { name: `${EMBEDDINGS}.patch_embedding.weight`, shape: [width, channels, patchSize, patchSize] },
    ...norm("vision_model.pre_layrnorm"),
    ...Array.from({ length: config.layers }, (_, index) => block(index)).flat(),
    ...norm("vision_model.post_layernorm"),
    { name: PROJECTION_TENSOR, shape: [config.projectionSize, width] },
  ];
}

function blockPrefix(index: number): string {
  return `vision_model.encoder.layers.${index}`;
}

/** Those who look into the forward pass while it is built. */
export interface TowerWatch {
  /** Told what comes out of each part, images first, by the prefix of its tensors. */
  readonly part?: (prefix: string, values: Tensor) => void;
  /** Told what goes into each linear layer [..., I], by the name of its weight [O, I]. */
  readonly input?: (weight: string, x: Tensor) => void;
  /** Computes all tokens of the last block, though only the class token leaves it. */
  readonly wholeLastBlock?: boolean;
}

/**
 * The tower. imagesBHWC holds pixel levels 0..255 as float32; weights are looked up by canonical name.
 * Returns features [B, E] of length 1.
 */
export function clipVisionFeatures(
  config: ClipVisionConfig,
  normalization: Normalization,
  weights: (name: string) => Tensor,
  imagesBHWC: Tensor,
  watch: TowerWatch = {},
): Tensor {
  const observe = (part: string, values: Tensor): void => watch.part?.(part, values);
  const dense = (name: string, x: Tensor, scale = 1): Tensor => {
    watch.input?.(`${name}.weight`, x);
    const [weight, bias] = [weights(`${name}.weight`), weights(`${name}.bias`)];
    return scale === 1 ? linear(x, weight, bias) : linear(x, tf.mul(weight, scale), tf.mul(bias, scale));
  };
  const norm = (name: string, x: Tensor): Tensor =>
    layerNorm(x, weights(`${name}.weight`), weights(`${name}.bias`), config.layerNormEpsilon);
  const embedded = embed(config, normalization, weights, imagesBHWC);
  observe(EMBEDDINGS, embedded);
  let hiddenBTD = norm("vision_model.pre_layrnorm", embedded);
  observe("vision_model.pre_layrnorm", hiddenBTD);
  for (let index = 0; index < config.layers; index++) {
    const prefix = blockPrefix(index);
    // Only the class token leaves the last block: there, the other tokens are keys and values and nothing else.
    const isCut = index === config.layers - 1 && watch.wholeLastBlock !== true;
    const going = (xBTD: Tensor): Tensor => (isCut ? classToken(xBTD) : xBTD);
    const normalizedBTD = norm(`${prefix}.layer_norm1`, hiddenBTD);
    const attended = selfAttention(config, dense, `${prefix}.self_attn`, going(normalizedBTD), normalizedBTD);
    hiddenBTD = tf.add(going(hiddenBTD), attended);
    observe(`${prefix}.self_attn`, hiddenBTD);
    const inner = activate(config.activation, dense(`${prefix}.mlp.fc1`, norm(`${prefix}.layer_norm2`, hiddenBTD)));
    hiddenBTD = tf.add(hiddenBTD, dense(`${prefix}.mlp.fc2`, inner));
    observe(`${prefix}.mlp`, hiddenBTD);
  }
  const classTokenBD = tf.reshape(classToken(hiddenBTD), [-1, config.hiddenSize]);
  const normalizedBD = norm("vision_model.post_layernorm", classTokenBD);
  watch.input?.(PROJECTION_TENSOR, normalizedBD);
  const featuresBE = linear(normalizedBD, weights(PROJECTION_TENSOR));
  const unitBE = tf.div(featuresBE, tf.sqrt(tf.sum(tf.square(featuresBE), -1, true)));
  observe(PROJECTION_TENSOR, unitBE);
  return unitBE;
}

/** The first token: [B, T, D] -> [B, 1, D]. */
function classToken(xBTD: Tensor): Tensor {
  return tf.slice(xBTD, [0, 0, 0], [-1, 1, -1]);
}

/** Normalised pixels, cut into patches and projected, with the class token in front and positions added: [B, T, D]. */
function embed(
  config: ClipVisionConfig,
  { rescaleFactor, mean, std }: Normalization,
  weights: (name: string) => Tensor,
  imagesBHWC: Tensor,
): Tensor {
  const { hiddenSize, patchSize, channels, imageSize } = config;
  const [batch] = imagesBHWC.shape;
  assert(batch !== undefined, "images without a batch dimension");
  // (x * rescaleFactor - mean) / std = x * scale + shift, per channel.
  const scaleC = tf.tensor1d(std.map((value) => rescaleFactor / value));
  const shiftC = tf.tensor1d(std.map((value, channel) => -(mean[channel] ?? 0) / value));
  const normalized = tf.add(tf.mul(imagesBHWC, scaleC), shiftC);
  const side = Math.floor(imageSize / patchSize);
  const cropped = tf.slice(normalized, [0, 0, 0, 0], [batch, side * patchSize, side * patchSize, channels]);
  // A convolution whose stride is its kernel size is a matrix product over patches, (channel, row, column) each.
  const grid = tf.reshape(cropped, [batch * side, patchSize, side, patchSize, channels]);
  const patches = tf.reshape(tf.transpose(grid, [0, 2, 4, 1, 3]), [
    batch * side * side,
    channels * patchSize * patchSize,
  ]);
  const kernel = tf.reshape(weights(`${EMBEDDINGS}.patch_embedding.weight`), [
    hiddenSize,
    channels * patchSize * patchSize,
  ]);
  const patchesBPD = tf.reshape(linear(patches, kernel), [batch, side * side, hiddenSize]);
  // A product with ones, since tfjs's gradient of tile is a slice and an addition per image.
  const classTokens = tf.mul(
    tf.ones([batch, 1, 1]),
    tf.reshape(weights(`${EMBEDDINGS}.class_embedding`), [1, 1, hiddenSize]),
  );
  const tokensBTD = tf.concat([classTokens, patchesBPD], 1);
  return tf.add(tokensBTD, weights(`${EMBEDDINGS}.position_embedding.weight`));
}

/** What the tokens of askingBQD [B, Q, D] gather from those of xBTD [B, T, D]: [B, Q, D]. */
function selfAttention(
  config: ClipVisionConfig,
  dense: (name: string, x: Tensor, scale?: number) => Tensor,
  prefix: string,
  askingBQD: Tensor,
  xBTD: Tensor,
): Tensor {
  const headSize = config.hiddenSize / config.heads;
  const split = (x: Tensor): Tensor => {
    const [batch, tokens] = x.shape;
    assert(batch !== undefined && tokens !== undefined, "attention over something else than [B, T, D]");
    return tf.transpose(tf.reshape(x, [batch, tokens, config.heads, headSize]), [0, 2, 1, 3]);
  };
  // The scores' 1 / sqrt(head size) goes into the query's weights, which are smaller than what they make.
  const query = split(dense(`${prefix}.q_proj`, askingBQD, headSize ** -0.5));
  const outBNQD = attention(query, split(dense(`${prefix}.k_proj`, xBTD)), split(dense(`${prefix}.v_proj`, xBTD)));
  return dense(`${prefix}.out_proj`, tf.reshape(tf.transpose(outBNQD, [0, 2, 1, 3]), askingBQD.shape));
}
