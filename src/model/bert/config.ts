/**
 * The architectures of BERT and its like, read from a Hugging Face config.json, and what the forward pass here does not compute, refused by name.
 * Sources: transformers, models/{bert,roberta,xlm_roberta,camembert,distilbert}/configuration_*.py (defaults included).
 */
import { z } from "zod";
import type { Activation } from "../../engine/ops/activation.js";
import { CheckpointError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import type { BlockConfig } from "../transformer-block.js";

export interface TextEncoderConfig extends BlockConfig {
  readonly layers: number;
  readonly vocabularySize: number;
  /** Rows of the table of positions. */
  readonly positions: number;
  /** The row of the first token: RoBERTa's tables begin with rows that no token has. */
  readonly firstPosition: number;
  /** Rows of the table of segments; 0 where there is none. */
  readonly segments: number;
}

/** Tens of times the largest published encoders: what is larger is a mistake, and would be allocated before it is compared with the weights. */
const MOST = { width: 2 ** 17, layers: 1000, vocabulary: 2 ** 24, segments: 2 ** 10 };
/** DistilBERT's, which its config does not say. */
const DISTILBERT_EPSILON = 1e-12;

/** By the names in config.json. */
const ACTIVATIONS: ReadonlyMap<string, Activation> = new Map([
  ["gelu", "gelu"],
  ["gelu_new", "gelu_tanh"],
  ["gelu_pytorch_tanh", "gelu_tanh"],
  ["relu", "relu"],
]);

const dimension = z.int().min(1).max(MOST.width);
const layers = z.int().min(1).max(MOST.layers);
const vocabulary = z.int().min(1).max(MOST.vocabulary);
const activation = z
  .string()
  .default("gelu")
  .transform((name, context): Activation => {
    const found = ACTIVATIONS.get(name);
    if (found !== undefined) return found;
    context.addIssue({
      code: "custom",
      message: `expected one of ${[...ACTIVATIONS.keys()].join(", ")}, found ${quote(name)}`,
    });
    return z.NEVER;
  });
const never = (what: string) => z.literal(false, `expected an encoder, found ${what} (true)`).nullish();
const encoderOnly = { is_decoder: never("a decoder"), add_cross_attention: never("one with cross-attention") };

const bertKeys = {
  hidden_size: dimension.default(768),
  num_hidden_layers: layers.default(12),
  num_attention_heads: dimension.default(12),
  intermediate_size: dimension.default(3072),
  hidden_act: activation,
  layer_norm_eps: z.number().gt(0).max(1).default(1e-12),
  max_position_embeddings: dimension.default(512),
  type_vocab_size: z.int().min(1).max(MOST.segments).default(2),
  position_embedding_type: z
    .literal("absolute", "only learned absolute positions are computed here, found relative ones or others")
    .nullish(),
  ...encoderOnly,
};
const bertSchema = z.object({ ...bertKeys, vocab_size: vocabulary.default(30522) });
const robertaSchema = z.object({
  ...bertKeys,
  vocab_size: vocabulary.default(50265),
  pad_token_id: z.int().min(0).max(MOST.width).default(1),
});
const distilbertSchema = z.object({
  dim: dimension.default(768),
  n_layers: layers.default(6),
  n_heads: dimension.default(12),
  hidden_dim: dimension.default(3072),
  activation,
  max_position_embeddings: dimension.default(512),
  vocab_size: vocabulary.default(30522),
  ...encoderOnly,
});

/** Parses the config.json of a BERT. `where` names the file in errors. Throws CheckpointError listing every key that is wrong. */
export function parseBertConfig(json: unknown, where: string): TextEncoderConfig {
  return checked(bertSizes(parsed(bertSchema, json, where, "BERT"), 0), where, "num_attention_heads");
}

/** The same of a RoBERTa, whose first position is behind the number of the padding token. */
export function parseRobertaConfig(json: unknown, where: string): TextEncoderConfig {
  const config = parsed(robertaSchema, json, where, "RoBERTa");
  return checked(bertSizes(config, config.pad_token_id + 1), where, "num_attention_heads");
}

/** The same of a DistilBERT. */
export function parseDistilbertConfig(json: unknown, where: string): TextEncoderConfig {
  const config = parsed(distilbertSchema, json, where, "DistilBERT");
  const sizes: TextEncoderConfig = {
    hiddenSize: config.dim,
    layers: config.n_layers,
    heads: config.n_heads,
    intermediateSize: config.hidden_dim,
    activation: config.activation,
    layerNormEpsilon: DISTILBERT_EPSILON,
    vocabularySize: config.vocab_size,
    positions: config.max_position_embeddings,
    firstPosition: 0,
    segments: 0,
  };
  return checked(sizes, where, "n_heads");
}

/** The most tokens that a text may have. */
export function longestText({ positions, firstPosition }: TextEncoderConfig): number {
  return positions - firstPosition;
}

function bertSizes(config: z.output<typeof bertSchema>, firstPosition: number): TextEncoderConfig {
  return {
    hiddenSize: config.hidden_size,
    layers: config.num_hidden_layers,
    heads: config.num_attention_heads,
    intermediateSize: config.intermediate_size,
    activation: config.hidden_act,
    layerNormEpsilon: config.layer_norm_eps,
    vocabularySize: config.vocab_size,
    positions: config.max_position_embeddings,
    firstPosition,
    segments: config.type_vocab_size,
  };
}

function parsed<T>(schema: z.ZodType<T>, json: unknown, where: string, title: string): T {
  if (json === undefined)
    throw new CheckpointError(
      `${where}: expected the config.json of a ${title} model beside the weights, found none. Copy it from the pretrained model.`,
    );
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join(".") || "(top)"}: ${issue.message}`);
  throw new CheckpointError(
    `${where}: not the config.json of a ${title} encoder that can be merged here: ${problems.join("; ")}`,
  );
}

function checked(config: TextEncoderConfig, where: string, headsKey: string): TextEncoderConfig {
  if (config.hiddenSize % config.heads !== 0)
    throw new CheckpointError(
      `${where}: ${headsKey}: expected a divisor of the width (${config.hiddenSize}), found ${config.heads}`,
    );
  // A text has at least the token that begins it and the one that ends it.
  if (longestText(config) < 2)
    throw new CheckpointError(
      `${where}: max_position_embeddings: expected room for two tokens behind position ${config.firstPosition}, found ${config.positions}`,
    );
  return config;
}
