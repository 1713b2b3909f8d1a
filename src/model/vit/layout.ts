/**
 * The names of the tensors of ViT, DeiT and DINOv2. Canonical are those of transformers 4, which version 5 writes too:
 * it converts from and to the names of its modules, which only its adapters have (and models saved with
 * save_original_format=False). In front stands `vit.`, `deit.`, `dinov2.` or `dinov2_with_registers.` where a head is
 * on top. Source: transformers, models/vit and dinov2, conversion_mapping.py of version 5.
 */
import { commonNames } from "../../checkpoint/layout/common-names.js";
import type { ModuleNames, Spelling, TowerLayout } from "../../checkpoint/layout/tensor-layout.js";
import type { BlockForm, BlockNames } from "../transformer-block.js";
import type { VitConfig, VitType } from "./config.js";

export const EMBEDDINGS = "embeddings";
export const CLASS_TOKEN = "embeddings.cls_token";
export const DISTILLATION_TOKEN = "embeddings.distillation_token";
export const REGISTER_TOKENS = "embeddings.register_tokens";
export const MASK_TOKEN = "embeddings.mask_token";
export const POSITIONS = "embeddings.position_embeddings";
export const PATCHES = "embeddings.patch_embeddings.projection";
export const LAST_NORM = "layernorm";
export const POOLER = "pooler.dense";

export const blockPrefix = (index: number): string => `encoder.layer.${index}`;

const attention = {
  query: "attention.attention.query",
  key: "attention.attention.key",
  value: "attention.attention.value",
  output: "attention.output.dense",
  attention: "attention",
};
const vitNames: BlockNames = {
  ...attention,
  norm1: "layernorm_before",
  norm2: "layernorm_after",
  inner: "intermediate.dense",
  outer: "output.dense",
  mlp: "output",
};
const dinov2Names: BlockNames = {
  ...attention,
  norm1: "norm1",
  norm2: "norm2",
  inner: "mlp.fc1",
  outer: "mlp.fc2",
  mlp: "mlp",
  scale1: "layer_scale1.lambda1",
  scale2: "layer_scale2.lambda1",
};

export function blockForm({ type, isGated }: VitConfig): BlockForm {
  if (type === "vit" || type === "deit") return { names: vitNames, norms: "before" };
  if (!isGated) return { names: dinov2Names, norms: "before" };
  return { names: { ...dinov2Names, inner: "mlp.weights_in", outer: "mlp.weights_out" }, norms: "before", isGated };
}

/** From the modules of transformers 5. */
const inBlock = (from: string, to: string): Spelling => ({
  from: new RegExp(`((?:^|\\.)encoder\\.layer\\.\\d+)\\.${from.replaceAll(".", "\\.")}\\.`),
  to: `$1.${to}.`,
});
const attentionSpellings: readonly Spelling[] = [
  inBlock("attention.q_proj", attention.query),
  inBlock("attention.k_proj", attention.key),
  inBlock("attention.v_proj", attention.value),
  inBlock("attention.o_proj", attention.output),
];
const vitSpellings: readonly Spelling[] = [
  { from: /(^|\.)layers\.(\d+)\./, to: "$1encoder.layer.$2." },
  ...attentionSpellings,
  inBlock("mlp.fc1", vitNames.inner),
  inBlock("mlp.fc2", vitNames.outer),
];
/** The other way round. */
const attentionModules: readonly Spelling[] = [
  inBlock(attention.query, "attention.q_proj"),
  inBlock(attention.key, "attention.k_proj"),
  inBlock(attention.value, "attention.v_proj"),
  inBlock(attention.output, "attention.o_proj"),
];
const vitModules: ModuleNames = {
  spellings: [
    ...attentionModules,
    inBlock(vitNames.inner, "mlp.fc1"),
    inBlock(vitNames.outer, "mlp.fc2"),
    { from: /(^|\.)encoder\.layer\.(\d+)\./, to: "$1layers.$2." },
  ],
};
/** Of SwiGLU the inner matrix is two modules. */
const dinov2Modules: ModuleNames = { spellings: attentionModules, divided: /\.mlp\.weights_in\./ };
const dinov2Spellings: readonly Spelling[] = [...attentionSpellings, inBlock("mlp.down_proj", "mlp.weights_out")];

const titles: Readonly<Record<VitType, string>> = {
  vit: "a ViT model",
  deit: "a DeiT model",
  dinov2: "a DINOv2 model",
  dinov2_with_registers: "a DINOv2 model with registers",
};

/**
 * Heads are left out, of classification and of masked images, and the token that stands for what is masked. A pooler is
 * part of the model only where features are read from it.
 */
export function vitLayout(type: VitType, readsPooler = false): TowerLayout {
  const isPlain = type === "vit" || type === "deit";
  const heads = "classifier|cls_classifier|distillation_classifier|decoder";
  return {
    title: titles[type],
    ...commonNames,
    spellings: [...commonNames.spellings, ...(isPlain ? vitSpellings : dinov2Spellings)],
    modules: isPlain ? vitModules : dinov2Modules,
    tower: {
      prefix: "",
      parts: [`${EMBEDDINGS}.`, "encoder.", `${LAST_NORM}.`, "pooler."],
      sign: `${PATCHES}.weight`,
      beside: [],
      rest: new RegExp(`^(?:(?:${heads}${readsPooler ? "" : "|pooler"})\\.|embeddings\\.mask_token$)`),
    },
  };
}
