/**
 * The architecture of a CLIP vision tower, read from a Hugging Face config.json: either that of a
 * CLIPVisionModel(WithProjection), or the `vision_config` of a whole CLIPModel.
 * Source: transformers, models/clip/configuration_clip.py (defaults included: files omit values equal to them).
 */
import { z } from "zod";
import type { Activation } from "../engine/ops/activation.js";
import { CheckpointError } from "../errors.js";

export interface ClipVisionConfig {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly intermediateSize: number;
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
  readonly projectionSize: number;
  readonly activation: Activation;
  readonly layerNormEpsilon: number;
}

/** Tens of times the largest published towers: what is larger is a mistake, and would be allocated before it is compared with the weights. */
const MOST = { width: 2 ** 17, layers: 1000, pixels: 2 ** 14 };
const dimension = z.int().min(1).max(MOST.width);
const visionSchema = z.object({
  hidden_size: dimension.default(768),
  num_hidden_layers: z.int().min(1).max(MOST.layers).default(12),
  num_attention_heads: dimension.default(12),
  intermediate_size: dimension.default(3072),
  image_size: z.int().min(1).max(MOST.pixels).default(224),
  patch_size: z.int().min(1).max(MOST.pixels).default(32),
  num_channels: z.literal(3, "only RGB towers (num_channels 3) are supported").default(3),
  projection_dim: dimension.default(512),
  hidden_act: z.enum(["quick_gelu", "gelu"]).default("quick_gelu"),
  layer_norm_eps: z.number().gt(0).default(1e-5),
});
const wholeModelSchema = z.object({ vision_config: z.looseObject({}), projection_dim: dimension.default(512) });

/** Parses config.json; undefined where there is none. `where` names the file in errors. Throws CheckpointError listing every key that is wrong. */
export function parseClipConfig(json: unknown, where: string): ClipVisionConfig {
  if (json === undefined) {
    throw new CheckpointError(
      `${where}: expected the config.json of a CLIP vision tower beside the weights, found none. Copy it from the pretrained model.`,
    );
  }
  const whole = wholeModelSchema.safeParse(json);
  const vision = whole.success ? { ...whole.data.vision_config, projection_dim: whole.data.projection_dim } : json;
  const parsed = visionSchema.safeParse(vision);
  if (!parsed.success) {
    const problems = parsed.error.issues
      .map((issue) => `${issue.path.join(".") || "(top)"}: ${issue.message}`)
      .join("; ");
    throw new CheckpointError(`${where}: not the config.json of a CLIP vision tower: ${problems}`);
  }
  const config = parsed.data;
  const fail = (key: string, expected: string): never => {
    throw new CheckpointError(`${where}: ${key}: expected ${expected}`);
  };
  if (config.hidden_size % config.num_attention_heads !== 0) {
    fail(
      "hidden_size",
      `a multiple of num_attention_heads (${config.num_attention_heads}), found ${config.hidden_size}`,
    );
  }
  if (config.patch_size > config.image_size) {
    fail("patch_size", `at most image_size (${config.image_size}), found ${config.patch_size}`);
  }
  return {
    hiddenSize: config.hidden_size,
    layers: config.num_hidden_layers,
    heads: config.num_attention_heads,
    intermediateSize: config.intermediate_size,
    imageSize: config.image_size,
    patchSize: config.patch_size,
    channels: config.num_channels,
    projectionSize: config.projection_dim,
    activation: config.hidden_act,
    layerNormEpsilon: config.layer_norm_eps,
  };
}
