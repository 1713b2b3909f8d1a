/**
 * What all families of models have in common in the names of their tensors, and the layout of a model of which no more is known. Sources:
 * transformers (_keys_to_ignore_on_load_unexpected, _tied_weights_keys and the renaming of old keys in modeling_utils.py, versions 4 and 5),
 * and the names that PyTorch's, Lightning's and DeepSpeed's wrappers add.
 */
import type { DerivedTensor, Spelling, TensorLayout, TiedTensor } from "./tensor-layout.js";

/** Modules around a module: parts of names, wherever they are. torch.compile, FSDP, activation checkpointing, Lightning Fabric, Opacus. */
export const WRAPPERS: ReadonlySet<string> = new Set([
  "_orig_mod",
  "_fsdp_wrapped_module",
  "_checkpoint_wrapped_module",
  "_forward_module",
  "_module",
]);
/** DataParallel and DeepSpeed; a part of a model may be called so too, hence only in front of all names. */
export const OUTER_WRAPPER = "module";

/** Norms as TensorFlow calls their parameters, and weight norm as PyTorch did before version 2. */
const spellings: readonly Spelling[] = [
  { from: /((?:norm\w*|\bln_\w+|\bbn\d*)\.)gamma$/i, to: "$1weight" },
  { from: /((?:norm\w*|\bln_\w+|\bbn\d*)\.)beta$/i, to: "$1bias" },
  { from: /\.weight_g$/, to: ".parametrizations.weight.original0" },
  { from: /\.weight_v$/, to: ".parametrizations.weight.original1" },
];

const isMask = (shape: readonly number[]): boolean => {
  const [first, second, rows, columns] = shape;
  return shape.length === 4 && first === 1 && second === 1 && rows === columns;
};
const isScalar = (shape: readonly number[]): boolean => shape.every((dim) => dim === 1);

const derived: readonly DerivedTensor[] = [
  // Causal masks of GPT-2, GPT-Neo, GPT-NeoX, GPT-J, CodeGen and their like; a bias has one axis.
  { name: /(?:^|\.)(?:attn|attention|crossattention|self_attn)\.(?:bias|mask|causal_mask|tril)$/, shape: isMask },
  { name: /(?:^|\.)(?:masked_bias|scale_attn)$/, shape: isScalar },
  { name: /(?:^|\.)(?:causal_mask|attn_mask|tril)$/ },
  // Rotary and sinusoidal positions.
  {
    name: /(?:^|\.)(?:(?:original_)?inv_freq|(?:cos|sin)_cached|freqs_cis|rope\.freqs|rotary\w*\.freqs|embed_positions\.weights)$/,
  },
  { name: /(?:^|\.)(?:embed_positions\._float_tensor|embed_positions\.sinusoidal\w*|(?:en|de)coder\.version)$/ },
  // Numbers of positions and types, tables of relative positions.
  {
    name: /(?:^|\.)(?:position_ids|token_type_ids|relative_position_index|relative_coords_table|relative_position_bucket)$/,
  },
  { name: /(?:^|\.)(?:num_batches_tracked|_extra_state)$/ },
  // In T5's first files, and never used.
  { name: /(?:^|\.)decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight$/ },
];

/** Tables of words at the input of a model. */
const WORDS = [
  "shared.weight",
  "embed_tokens.weight",
  "wte.weight",
  "word_embeddings.weight",
  "embed_in.weight",
  "tok_embeddings.weight",
  "tokens_embed.weight",
  "word_embedding.weight",
  "backbone.embeddings.weight",
  "transformer.embeddings.weight",
  "rwkv.embeddings.weight",
];
const HEADS = ["lm_head.weight", "embed_out.weight", "proj_out.weight", "output_projection.weight"];

const ties: readonly TiedTensor[] = [
  {
    name: /(?:^|\.)(?:(?:text_)?lm_head|lm_head\.(?:decoder|out_proj)|generator_lm_head|embed_out|proj_out|output_projection|lm_loss)\.weight$/,
    sources: WORDS,
    kind: "head",
  },
  {
    name: /(?:^|\.)(?:predictions\.decoder|vocab_projector|pred_layer\.proj|mlm_score\.decoder)\.weight$/,
    sources: WORDS,
    kind: "head",
  },
  { name: /^(?:output|head)\.weight$/, sources: WORDS, kind: "head" },
  { name: /(?:^|\.)(?:en|de)coder\.embed_tokens\.weight$/, sources: [...WORDS, ...HEADS], kind: "words" },
  { name: /(?:^|\.)(?:shared|wte)\.weight$/, sources: [...WORDS, ...HEADS], kind: "words" },
  { name: /(?:^|\.)predictions\.decoder\.bias$/, sources: ["predictions.bias"], kind: "other" },
  { name: /(?:^|\.)lm_head\.decoder\.bias$/, sources: ["lm_head.bias"], kind: "other" },
];

export const commonNames = { spellings, derived, ties, otherNamings: [] } as const satisfies Omit<
  TensorLayout,
  "title"
>;

/** A model of any architecture. */
export const anyLayout: TensorLayout = { title: "a model", ...commonNames };
