/**
 * The architectures of CLIP's towers, read from a Hugging Face config.json: either that of one tower, CLIPVisionModel(WithProjection) or
 * CLIPTextModelWithProjection, or `vision_config` and `text_config` of a whole CLIPModel.
 * Source: transformers, models/clip/configuration_clip.py (defaults included: files omit values equal to them).
 */
import { z } from "zod";
import type { Activation } from "../../engine/ops/activation.js";
import { CheckpointError } from "../../errors.js";

/** Sizes that both towers have. */
interface TowerConfig {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly intermediateSize: number;
  readonly projectionSize: number;
  readonly activation: Activation;
  readonly layerNormEpsilon: number;
}

export interface ClipVisionConfig extends TowerConfig {
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
}

export interface ClipTextConfig extends TowerConfig {
  readonly vocabularySize: number;
  /** The longest prompt in tokens, its two ends included. */
  readonly contextLength: number;
  /** The token whose features are the prompt's; 2 stands for the one with the largest number, as configs before transformers 4.31 have it. */
  readonly endToken: number;
}

/** Tens of times the largest published towers: what is larger is a mistake, and would be allocated before it is compared with the weights. */
const MOST = { width: 2 ** 17, layers: 1000, pixels: 2 ** 14, vocabulary: 2 ** 24 };
const dimension = z.int().min(1).max(MOST.width);
/** Keys that both towers have, with the sizes of CLIP ViT-B/32. */
const towerKeys = (width: number, heads: number, inner: number) => ({
  hidden_size: dimension.default(width),
  num_hidden_layers: z.int().min(1).max(MOST.layers).default(12),
  num_attention_heads: dimension.default(heads),
  intermediate_size: dimension.default(inner),
  projection_dim: dimension.default(512),
  hidden_act: z.enum(["quick_gelu", "gelu"]).default("quick_gelu"),
  layer_norm_eps: z.number().gt(0).default(1e-5),
});
const visionSchema = z.object({
  ...towerKeys(768, 12, 3072),
  image_size: z.int().min(1).max(MOST.pixels).default(224),
  patch_size: z.int().min(1).max(MOST.pixels).default(32),
  num_channels: z.literal(3, "only RGB towers (num_channels 3) are supported").default(3),
});
const textSchema = z.object({
  ...towerKeys(512, 8, 2048),
  vocab_size: z.int().min(1).max(MOST.vocabulary).default(49408),
  max_position_embeddings: z.int().min(2).max(MOST.width).default(77),
  eos_token_id: z.int().min(0).default(49407),
});
const projection = { projection_dim: dimension.default(512) };
const wholeVisionSchema = z.object({ vision_config: z.looseObject({}), ...projection });
const wholeTextSchema = z.object({ text_config: z.looseObject({}), ...projection });

/** Parses config.json; undefined where there is none. `where` names the file in errors. Throws CheckpointError listing every key that is wrong. */
export function parseClipConfig(json: unknown, where: string): ClipVisionConfig {
  if (json === undefined) {
    throw new CheckpointError(
      `${where}: expected the config.json of a CLIP vision tower beside the weights, found none. Copy it from the pretrained model.`,
    );
  }
  const whole = wholeVisionSchema.safeParse(json);
  const vision = whole.success ? { ...whole.data.vision_config, projection_dim: whole.data.projection_dim } : json;
  const config = parseTower(visionSchema, vision, `${where}: not the config.json of a CLIP vision tower`);
  if (config.patch_size > config.image_size) {
    throw new CheckpointError(
      `${where}: patch_size: expected at most image_size (${config.image_size}), found ${config.patch_size}`,
    );
  }
  return {
    ...sizesOf(config, where),
    imageSize: config.image_size,
    patchSize: config.patch_size,
    channels: config.num_channels,
  };
}

/** Parses the text tower's part of config.json. `where` names the file in errors. Throws CheckpointError listing every key that is wrong. */
export function parseClipTextConfig(json: unknown, where: string): ClipTextConfig {
  if (json === undefined) {
    throw new CheckpointError(
      `${where}: expected the config.json of a CLIP model beside its text tower's weights, found none. Copy it from there.`,
    );
  }
  const whole = wholeTextSchema.safeParse(json);
  const text = whole.success ? { ...whole.data.text_config, projection_dim: whole.data.projection_dim } : json;
  const config = parseTower(textSchema, text, `${where}: not the config.json of a CLIP text tower`);
  return {
    ...sizesOf(config, where),
    vocabularySize: config.vocab_size,
    contextLength: config.max_position_embeddings,
    endToken: config.eos_token_id,
  };
}

function parseTower<T>(schema: z.ZodType<T>, json: unknown, what: string): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || "(top)"}: ${issue.message}`);
  throw new CheckpointError(`${what}: ${problems.join("; ")}`);
}

function sizesOf(
  config: Omit<z.output<typeof visionSchema>, "image_size" | "patch_size" | "num_channels">,
  where: string,
): TowerConfig {
  if (config.hidden_size % config.num_attention_heads !== 0) {
    throw new CheckpointError(
      `${where}: hidden_size: expected a multiple of num_attention_heads (${config.num_attention_heads}), found ${config.hidden_size}`,
    );
  }
  return {
    hiddenSize: config.hidden_size,
    layers: config.num_hidden_layers,
    heads: config.num_attention_heads,
    intermediateSize: config.intermediate_size,
    projectionSize: config.projection_dim,
    activation: config.hidden_act,
    layerNormEpsilon: config.layer_norm_eps,
  };
}
