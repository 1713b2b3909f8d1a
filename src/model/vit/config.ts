/**
 * The architectures of vision transformers, read from a Hugging Face config.json: ViT, DeiT (a distillation token
 * behind the class token) and DINOv2 (LayerScale, positions interpolated to the images' size, with or without register
 * tokens, SwiGLU in the giant one).
 * Source: transformers, models/{vit,deit,dinov2,dinov2_with_registers}/configuration_*.py (defaults included: files
 * omit values equal to them).
 */
import { z } from "zod";
import { explainIssue } from "../../config/issues.js";
import { CheckpointError } from "../../errors.js";
import type { BlockConfig } from "../transformer-block.js";

/** Also the prefix of its tensors where a head is on top. */
export type VitType = "vit" | "deit" | "dinov2" | "dinov2_with_registers";

export interface VitConfig extends BlockConfig {
  readonly type: VitType;
  readonly layers: number;
  /** The side of the images that the table of positions is for. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
  readonly registers: number;
  readonly isGated: boolean;
  /** Features of the pooler, where the model has one. */
  readonly poolerSize?: number;
}

/**
 * Tens of times the largest published ones: what is larger is a mistake, and would be allocated before it is compared
 * with the weights.
 */
const MOST = { width: 2 ** 17, layers: 1000, pixels: 2 ** 14, registers: 2 ** 10 };
/** Characters of a wrong value that an error shows. */
const MOST_SHOWN = 80;
const dimension = z.int().min(1).max(MOST.width);
const pixels = z.int().min(1).max(MOST.pixels);
/** A number, or the same twice: only squares are supported. */
const side = z.union(
  [
    pixels,
    z
      .tuple([pixels, pixels])
      .refine(([height, width]) => height === width)
      .transform(([height]) => height),
  ],
  {
    error: ({ input }) =>
      `expected the side of a square in pixels (1 to ${MOST.pixels}), found ${JSON.stringify(input)?.slice(0, MOST_SHOWN)}`,
  },
);
const activation = z.enum(["gelu", "quick_gelu"]).default("gelu");

/** Keys that all have, with the sizes of the base models. */
const commonKeys = (epsilon: number) => ({
  hidden_size: dimension.default(768),
  num_hidden_layers: z.int().min(1).max(MOST.layers).default(12),
  num_attention_heads: dimension.default(12),
  hidden_act: activation,
  layer_norm_eps: z.number().gt(0).default(epsilon),
  image_size: side.default(224),
  num_channels: z.literal(3).default(3),
  qkv_bias: z.literal(true).default(true),
});
const vitSchema = z.object({
  ...commonKeys(1e-12),
  patch_size: side.default(16),
  intermediate_size: dimension.default(3072),
  pooler_output_size: dimension.nullish(),
  pooler_act: z.literal("tanh").default("tanh"),
});
const dinoKeys = {
  ...commonKeys(1e-6),
  // The MLP's width is their product.
  mlp_ratio: z.number().gt(0).max(MOST.width).default(4),
  use_swiglu_ffn: z.boolean().default(false),
};
const dinov2Schema = z.object({ ...dinoKeys, patch_size: side.default(14) });
const registersSchema = z.object({
  ...dinoKeys,
  patch_size: side.default(16),
  num_register_tokens: z.int().min(0).max(MOST.registers).default(4),
});

/**
 * Parses config.json; undefined where there is none. `where` names the file in errors. Throws CheckpointError listing
 * every key that is wrong.
 */
export function parseVitConfig(types: readonly VitType[], json: unknown, where: string): VitConfig {
  const type = typeOf(types, json, where);
  switch (type) {
    case "vit":
    case "deit": {
      const config = parsed(vitSchema, type, json, where);
      return {
        ...sizes(type, config, config.intermediate_size, where),
        ...{ registers: 0, isGated: false, poolerSize: config.pooler_output_size ?? config.hidden_size },
      };
    }
    case "dinov2": {
      const config = parsed(dinov2Schema, type, json, where);
      return { ...sizes(type, config, dinoInner(config), where), registers: 0, isGated: config.use_swiglu_ffn };
    }
    case "dinov2_with_registers": {
      const config = parsed(registersSchema, type, json, where);
      const inner = dinoInner(config);
      return {
        ...sizes(type, config, inner, where),
        ...{ registers: config.num_register_tokens, isGated: config.use_swiglu_ffn },
      };
    }
    default:
      return type satisfies never;
  }
}

function typeOf(types: readonly VitType[], json: unknown, where: string): VitType {
  const found = typeof json === "object" && json !== null && "model_type" in json ? json.model_type : undefined;
  const type = types.find((known) => known === found);
  if (type !== undefined) return type;
  throw new CheckpointError(
    `${where}: expected a config.json with model_type ${types.join(" or ")}, found ${json === undefined ? "no file" : JSON.stringify(found)}. Copy it from the pretrained model.`,
  );
}

function parsed<T>(schema: z.ZodType<T>, type: VitType, json: unknown, where: string): T {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    (issue) => `${issue.path.join(".") || "(top)"}: ${explainIssue(issue, json)}`,
  );
  throw new CheckpointError(
    `${where}: not the config.json of a ${type} model that is supported: ${problems.join("; ")}`,
  );
}

/** Of SwiGLU two thirds, rounded up to a multiple of 8, so that there are as many parameters. */
function dinoInner(config: z.output<typeof dinov2Schema> | z.output<typeof registersSchema>): number {
  const inner = Math.trunc(config.hidden_size * config.mlp_ratio);
  return config.use_swiglu_ffn ? Math.ceil(Math.trunc((inner * 2) / 3) / 8) * 8 : inner;
}

function sizes(
  type: VitType,
  config: z.output<typeof vitSchema> | z.output<typeof dinov2Schema>,
  intermediateSize: number,
  where: string,
): Omit<VitConfig, "registers" | "isGated" | "poolerSize"> {
  if (config.hidden_size % config.num_attention_heads !== 0) {
    throw new CheckpointError(
      `${where}: hidden_size: expected a multiple of num_attention_heads (${config.num_attention_heads}), found ${config.hidden_size}`,
    );
  }
  if (config.patch_size > config.image_size) {
    throw new CheckpointError(
      `${where}: patch_size: expected at most image_size (${config.image_size}), found ${config.patch_size}`,
    );
  }
  if (intermediateSize < 1 || intermediateSize > MOST.width) {
    throw new CheckpointError(
      `${where}: mlp_ratio: expected an MLP of 1 to ${MOST.width} values, found hidden_size times ${JSON.stringify("mlp_ratio" in config ? config.mlp_ratio : undefined)}`,
    );
  }
  return {
    type,
    hiddenSize: config.hidden_size,
    layers: config.num_hidden_layers,
    heads: config.num_attention_heads,
    intermediateSize,
    activation: config.hidden_act,
    layerNormEpsilon: config.layer_norm_eps,
    imageSize: config.image_size,
    patchSize: config.patch_size,
    channels: config.num_channels,
  };
}
