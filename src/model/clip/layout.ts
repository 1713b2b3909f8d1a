/**
 * The names of CLIP's towers. Canonical are those of CLIPVisionModel and CLIPTextModel up to transformers 4 (`vision_model.` and `text_model.` in
 * front, the projections beside); transformers 5 writes a tower alone without the prefix, OpenAI's code and open_clip have names of their own, with
 * query, key and value as rows of one tensor and the projection the other way round. Source: open_clip's model.py and transformer.py, and
 * transformers' conversion script of CLIP.
 */
import { commonNames } from "../../checkpoint/layout/common-names.js";
import type { OtherName, OtherNaming, TowerLayout } from "../../checkpoint/layout/tensor-layout.js";

const VISION = "vision_model.";
const BLOCK = "vision_model.encoder.layers.$1";

const inBlock = (from: string, to: string): OtherName => ({
  from: new RegExp(`^transformer\\.resblocks\\.(\\d+)\\.${from.replaceAll(".", "\\.")}\\.(weight|bias)$`),
  to: [`${BLOCK}.${to}.$2`],
});

/** The vision tower only. A ResNet of CLIP has the first of the signs and not the others. */
const openClip: OtherNaming = {
  signs: ["conv1.weight", "class_embedding", "transformer.resblocks.0.attn.in_proj_weight"],
  tower: "visual.",
  names: [
    { from: /^class_embedding$/, to: ["vision_model.embeddings.class_embedding"] },
    { from: /^positional_embedding$/, to: ["vision_model.embeddings.position_embedding.weight"] },
    { from: /^conv1\.weight$/, to: ["vision_model.embeddings.patch_embedding.weight"] },
    { from: /^ln_pre\.(weight|bias)$/, to: ["vision_model.pre_layrnorm.$1"] },
    { from: /^ln_post\.(weight|bias)$/, to: ["vision_model.post_layernorm.$1"] },
    { from: /^proj$/, to: ["visual_projection.weight"], isTransposed: true },
    inBlock("ln_1", "layer_norm1"),
    inBlock("attn.out_proj", "self_attn.out_proj"),
    inBlock("ln_2", "layer_norm2"),
    inBlock("mlp.c_fc", "mlp.fc1"),
    inBlock("mlp.c_proj", "mlp.fc2"),
    {
      from: /^transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)$/,
      to: ["q", "k", "v"].map((part) => `${BLOCK}.self_attn.${part}_proj.$2`),
    },
  ],
  // The text tower, the scale, and integers that OpenAI's files carry.
  rest: /^(?:positional_embedding|text_projection(?:\.\w+)?|logit_scale|logit_bias|token_embedding\.weight|ln_final\.\w+|transformer\..+|text\..+|attn_mask|input_resolution|context_length|vocab_size)$/,
};

export const clipVisionLayout: TowerLayout = {
  title: "a CLIP model or its vision tower",
  ...commonNames,
  tower: {
    prefix: VISION,
    // `pre_layrnorm` is CLIP's own spelling.
    parts: ["embeddings.", "pre_layrnorm.", "encoder.", "post_layernorm."],
    sign: "embeddings.patch_embedding.weight",
    beside: ["visual_projection.weight"],
    rest: /^(?:text_model\.|text_projection\b|logit_scale$)/,
    section: "vision_config",
  },
  otherNamings: [openClip],
};

export const clipTextLayout: TowerLayout = {
  title: "a CLIP model or its text tower",
  ...commonNames,
  tower: {
    prefix: "text_model.",
    parts: ["embeddings.", "encoder.", "final_layer_norm."],
    sign: "embeddings.token_embedding.weight",
    beside: ["text_projection.weight", "logit_scale"],
    rest: /^(?:vision_model\.|visual_projection\b|logit_bias$)/,
  },
  otherNamings: [],
};
