/**
 * The encoder of BERT and its like as a function of its parameter tensors: numbers of tokens in, features out. Parity: transformers,
 * models/{bert,roberta,distilbert}/modeling_*.py. B texts, T tokens, D width, P rows of positions, V vocabulary.
 *
 * Differs from RoBERTa there: a padding token written out within a text takes a position as every token does, and padding is on the right.
 */
import { type Tensor, tf } from "../../engine/tf.js";
import { assert } from "../../errors.js";
import type { ModelParts, ModelTensor } from "../family.js";
import type { ModelWeights } from "../model-weights.js";
import { blockTensors, normTensors, towerLayers, transformerBlock } from "../transformer-block.js";
import type { TextEncoderConfig } from "./config.js";
import type { TextEncoderNames } from "./layout.js";
import { firstToken, pooledFeatures, readsFirstToken, type TextFeatures } from "./pooling.js";

/** Inputs, [B, T] each. */
export const TOKENS = "input_ids";
/** 1 for a token, 0 for padding. */
export const MASK = "attention_mask";
/** 0 and 1: in which text of a pair a token is. */
export const SEGMENTS = "token_type_ids";

/** Added to the scores of padding; finite, since 0 times it is asked for too. */
const UNSEEN = -1e9;
/** Segments that tokenizers tell apart; rows of the table behind them are never read. */
const SEGMENTS_READ = 2;

export interface TextEncoder {
  readonly config: TextEncoderConfig;
  readonly names: TextEncoderNames;
  /** Whether it is given the segments; else all tokens are of the first. */
  readonly hasSegments: boolean;
  readonly features: TextFeatures;
}

/** Every parameter tensor with its shape and role, in forward order; the pooler only where features are what it makes. */
export function textEncoderTensors({ config, names, features }: Omit<TextEncoder, "hasSegments">): ModelTensor[] {
  const { hiddenSize: width, vocabularySize, positions, segments, layers } = config;
  const before: Omit<ModelTensor, "part">[] = [
    { name: names.words, shape: [vocabularySize, width], isTable: true },
    { name: names.positions, shape: [positions, width] },
    ...(segments === 0 ? [] : [{ name: names.segments, shape: [segments, width] }]),
    ...normTensors(names.embeddingsNorm, width),
  ];
  const pooler = `${names.pooler}.weight`;
  const behind: Omit<ModelTensor, "part">[] = [
    { name: pooler, shape: [width, width], sharesInput: pooler },
    { name: `${names.pooler}.bias`, shape: [width] },
  ];
  return [
    ...before.map((tensor): ModelTensor => ({ ...tensor, part: "embeddings" })),
    ...Array.from({ length: layers }, (_, index) =>
      blockTensors(`${names.blocks}.${index}`, index, config, names.form),
    ).flat(),
    ...(features.pooling === "pooler" ? behind : []).map((tensor): ModelTensor => ({ ...tensor, part: "output" })),
  ];
}

/** The encoder in parts, to features [B, D]. Weights are looked up by canonical name. */
export function textEncoderParts(encoder: TextEncoder): Omit<ModelParts, "shape"> {
  const { config, names, features } = encoder;
  return {
    blocks: config.layers,
    before: (weights, inputs, watch) => {
      const layers = towerLayers(config, weights, watch, names.form);
      const { tokens } = textMask(inputs(MASK));
      const hiddenBTD = layers.norm(names.embeddingsNorm, embed(encoder, weights, inputs, tokens));
      layers.observe(names.embeddings, hiddenBTD);
      return hiddenBTD;
    },
    block: (index, weights, hiddenBTD, givenMask, watch = {}) => {
      const { maskBT, batch, tokens } = textMask(givenMask);
      // Anew for each block: next to the block it is nothing.
      const mask = tf.mul(tf.sub(tf.scalar(1), tf.reshape(maskBT, [batch, 1, 1, tokens])), tf.scalar(UNSEEN));
      // Where features are of the first token, the others of the last block are keys and values and nothing else.
      const isLast = index === config.layers - 1 && readsFirstToken(features.pooling);
      const going = isLast && watch.wholeLastBlock !== true ? firstToken : undefined;
      const layers = towerLayers(config, weights, watch, names.form);
      return transformerBlock(layers, `${names.blocks}.${index}`, hiddenBTD, { going, mask });
    },
    behind: (weights, hiddenBTD, mask, watch) => {
      const layers = towerLayers(config, weights, watch, names.form);
      return pooledFeatures(features, layers, names.pooler, hiddenBTD, textMask(mask).maskBT);
    },
  };
}

/** The mask, which texts always have, and its sizes. */
function textMask(maskBT: Tensor | undefined) {
  const [batch, tokens] = maskBT?.shape ?? [];
  assert(maskBT !== undefined && batch !== undefined && tokens !== undefined, "a mask of something else than [B, T]");
  return { maskBT, batch, tokens };
}

/** Words, positions and segments, summed: [B, T, D]. */
function embed(
  { config, names, hasSegments }: TextEncoder,
  weights: ModelWeights,
  inputs: (name: string) => Tensor,
  tokens: number,
): Tensor {
  const { hiddenSize: width, firstPosition, segments } = config;
  const wordsBTD = weights.rows(names.words, inputs(TOKENS));
  const positionsTD = tf.slice(weights.get(names.positions), [firstPosition, 0], [tokens, width]);
  if (segments === 0) return tf.add(wordsBTD, positionsTD);
  const table = weights.get(names.segments);
  const row = (index: number): Tensor => tf.slice(table, [index, 0], [1, width]);
  const placedBTD = tf.add(wordsBTD, tf.add(positionsTD, row(0)));
  if (!hasSegments || segments < SEGMENTS_READ) return placedBTD;
  // Two segments are a line between two rows: no gathering.
  const segmentsBT1 = tf.expandDims(inputs(SEGMENTS), -1);
  return tf.add(placedBTD, tf.mul(segmentsBT1, tf.sub(row(1), row(0))));
}
