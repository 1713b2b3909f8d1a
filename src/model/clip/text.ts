/**
 * The CLIP text tower as a function of its parameter tensors: embedded tokens in, L2-normalised features out. Tokens are looked up
 * outside the graph (`embedPrompts`): a table of a hundred megabytes stays out of it, and an engine needs no gather.
 * Parity: transformers, models/clip/modeling_clip.py (CLIPTextModelWithProjection). B prompts, T tokens, D width, E features, V vocabulary.
 */
import { linear } from "../../engine/ops/linear.js";
import { type Tensor, tf } from "../../engine/tf.js";
import { assert, CheckpointError } from "../../errors.js";
import type { NamedShape } from "../family.js";
import type { ModelWeights } from "../model-weights.js";
import { blockTensors, normTensors, towerLayers, transformerBlock, unitRows } from "../transformer-block.js";
import type { ClipTextConfig } from "./config.js";

/** [V, D]. */
export const TOKEN_EMBEDDING = "text_model.embeddings.token_embedding.weight";
const POSITION_EMBEDDING = "text_model.embeddings.position_embedding.weight";
const FINAL_NORM = "text_model.final_layer_norm";
export const TEXT_PROJECTION = "text_projection.weight";

/** `eos_token_id` of configs that had it wrong: it means the largest token, which is the end in CLIP's own vocabulary. */
const LEGACY_END_TOKEN = 2;
/** Added to the scores of tokens that are not to be seen; finite, since 0 times it is asked for too. */
const UNSEEN = -1e9;

/** The tensors that the graph holds, in forward order: all but the table of tokens. */
export function clipTextTensors(config: ClipTextConfig): NamedShape[] {
  const { hiddenSize: width, layers, contextLength, projectionSize } = config;
  return [
    { name: POSITION_EMBEDDING, shape: [contextLength, width] },
    ...Array.from({ length: layers }, (_, index) => blockTensors(blockPrefix(index), index, config)).flat(),
    ...normTensors(FINAL_NORM, width),
    { name: TEXT_PROJECTION, shape: [projectionSize, width] },
  ];
}

export function tokenTable({ vocabularySize, hiddenSize }: ClipTextConfig): NamedShape {
  return { name: TOKEN_EMBEDDING, shape: [vocabularySize, hiddenSize] };
}

function blockPrefix(index: number): string {
  return `text_model.encoder.layers.${index}`;
}

/**
 * Features [B, E] of length 1 of prompts whose tokens are embedded, embeddedBTD. endB1T has a 1 where a prompt ends, else 0: no token sees
 * those behind it, so that what stands behind the end changes nothing.
 */
export function clipTextFeatures(
  config: ClipTextConfig,
  weights: ModelWeights,
  embeddedBTD: Tensor,
  endB1T: Tensor,
): Tensor {
  const [batch, tokens] = embeddedBTD.shape;
  assert(batch !== undefined && tokens !== undefined, "tokens without a batch dimension");
  const layers = towerLayers(config, weights);
  const positionsTD = tf.slice(weights.get(POSITION_EMBEDDING), [0, 0], [tokens, config.hiddenSize]);
  const maskTT = tf.tensor2d(causalMask(tokens), [tokens, tokens]);
  const atEnd = (xBTD: Tensor): Tensor => tf.matMul(endB1T, xBTD);
  let hiddenBTD = tf.add(embeddedBTD, positionsTD);
  for (let index = 0; index < config.layers; index++) {
    // Only the end leaves the last block, and it sees what its row of the mask says.
    const isLast = index === config.layers - 1;
    const options = isLast ? { going: atEnd, mask: endMask(endB1T, maskTT) } : { mask: maskTT };
    hiddenBTD = transformerBlock(layers, blockPrefix(index), hiddenBTD, options);
  }
  const endBD = tf.reshape(hiddenBTD, [batch, config.hiddenSize]);
  return unitRows(linear(layers.norm(FINAL_NORM, endBD), weights.get(TEXT_PROJECTION)));
}

/** The row of each prompt's end, [B, 1, 1, T]. */
function endMask(endB1T: Tensor, maskTT: Tensor): Tensor {
  const [batch = 1, , tokens = 1] = endB1T.shape;
  return tf.reshape(tf.matMul(tf.reshape(endB1T, [batch, tokens]), maskTT), [batch, 1, 1, tokens]);
}

function causalMask(tokens: number): Float32Array {
  return Float32Array.from({ length: tokens * tokens }, (_, index) =>
    index % tokens > Math.floor(index / tokens) ? UNSEEN : 0,
  );
}

export interface EmbeddedPrompts {
  /** [B, T, D], zeros behind a prompt's end. */
  readonly embeddedBTD: Float32Array;
  /** [B, 1, T]. */
  readonly endB1T: Float32Array;
}

/** Looks up the tokens of prompts that are at most `tokens` long. Throws CheckpointError for a token that the tower does not know. */
export function embedPrompts(
  config: ClipTextConfig,
  tableVD: Float32Array,
  prompts: readonly (readonly number[])[],
  tokens: number,
): EmbeddedPrompts {
  const { hiddenSize: width, vocabularySize } = config;
  const embeddedBTD = new Float32Array(prompts.length * tokens * width);
  const endB1T = new Float32Array(prompts.length * tokens);
  for (const [row, ids] of prompts.entries()) {
    assert(ids.length <= tokens, `a prompt of ${ids.length} tokens among ${tokens}`);
    for (const [position, id] of ids.entries()) {
      if (id >= vocabularySize)
        throw new CheckpointError(
          `the tokenizer's token ${id}: expected one of the text tower's ${vocabularySize} (vocab_size of config.json); take the tokenizer files of that model`,
        );
      embeddedBTD.set(tableVD.subarray(id * width, (id + 1) * width), (row * tokens + position) * width);
    }
    endB1T[row * tokens + endOf(config, ids)] = 1;
  }
  return { embeddedBTD, endB1T };
}

/** Where transformers takes a prompt's features: at the first end token, or at the first of the largest. */
function endOf({ endToken }: ClipTextConfig, ids: readonly number[]): number {
  const end = endToken === LEGACY_END_TOKEN ? ids.reduce((most, id) => Math.max(most, id), 0) : endToken;
  const position = ids.indexOf(end);
  if (position >= 0) return position;
  throw new CheckpointError(
    `the tokenizer's prompts: expected the end token ${endToken} (eos_token_id of config.json) in them, found ${ids.slice(-3).join(", ")} at their end; take the tokenizer files of the text tower's model`,
  );
}
