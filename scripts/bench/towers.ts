/** The encoders that steps are measured on, of images and of texts, as models; what a step takes of each, and what PyTorch's side is told of it. */
import { type ClipVisionConfig, clipVisionModel, type Model } from "../../dist/internal.js";
import { parseBertConfig } from "../../dist/model/bert/config.js";
import { bert, textModelOf } from "../../dist/model/bert/text-families.js";
import { SHAPE_NAMES, SHAPES, type ShapeName } from "./shapes.js";

export type TowerName = ShapeName | "minilm";
export const TOWER_NAMES: readonly TowerName[] = [...SHAPE_NAMES, "minilm"];

export interface Tower {
  readonly model: Model;
  /** What texts are padded to. */
  readonly length?: number;
  /** Rows of the table of words. */
  readonly vocabulary?: number;
  /** Dimensions and `kind`, for the other side. */
  readonly shape: Readonly<Record<string, unknown>>;
}

const NORMALIZATION = {
  rescaleFactor: 1 / 255,
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
} as const;

/** config.json of all-MiniLM-L6-v2. */
const MINILM = {
  hidden_size: 384,
  num_hidden_layers: 6,
  num_attention_heads: 12,
  intermediate_size: 1536,
  hidden_act: "gelu",
  layer_norm_eps: 1e-12,
  max_position_embeddings: 512,
  type_vocab_size: 2,
  vocab_size: 30522,
};
const TOKENS = 32;

export function towerOf(name: TowerName): Tower {
  if (name !== "minilm") return imageTower(SHAPES[name]);
  const config = parseBertConfig(MINILM, name);
  const model = textModelOf(bert, config, { pooling: "mean", normalized: true }, name);
  return { model, length: TOKENS, vocabulary: config.vocabularySize, shape: { kind: "text", ...config } };
}

function imageTower(config: ClipVisionConfig): Tower {
  return { model: clipVisionModel(config, NORMALIZATION), shape: { kind: "image", ...config } };
}
