/**
 * What files call the tensors of BERT, RoBERTa and DistilBERT. Canonical are the names of transformers' plain models (BertModel, ...), the same in
 * versions 4 and 5: without a prefix, `bert.`, `roberta.` or `distilbert.` in front in a model with a head. `gamma` and `beta` of the first files and
 * stored `position_ids` are common to all families (checkpoint/layout/common-names.ts). Source: transformers, models/bert/modeling_bert.py.
 */
import { commonNames } from "../../checkpoint/layout/common-names.js";
import type { TowerLayout } from "../../checkpoint/layout/tensor-layout.js";
import type { BlockForm } from "../transformer-block.js";

/** What a family calls the parts of an encoder. */
export interface TextEncoderNames {
  readonly words: string;
  readonly positions: string;
  readonly segments: string;
  readonly embeddings: string;
  readonly embeddingsNorm: string;
  /** In front of a block's number. */
  readonly blocks: string;
  readonly form: BlockForm;
  /** The dense layer on the first token, where the family has one. */
  readonly pooler: string;
}

const embeddingNames = {
  words: "embeddings.word_embeddings.weight",
  positions: "embeddings.position_embeddings.weight",
  segments: "embeddings.token_type_embeddings.weight",
  embeddings: "embeddings",
  embeddingsNorm: "embeddings.LayerNorm",
  pooler: "pooler.dense",
};

export const bertNames: TextEncoderNames = {
  ...embeddingNames,
  blocks: "encoder.layer",
  form: {
    names: {
      query: "attention.self.query",
      key: "attention.self.key",
      value: "attention.self.value",
      output: "attention.output.dense",
      norm1: "attention.output.LayerNorm",
      inner: "intermediate.dense",
      outer: "output.dense",
      norm2: "output.LayerNorm",
      attention: "attention",
      mlp: "output",
    },
    norms: "after",
  },
};

export const distilbertNames: TextEncoderNames = {
  ...embeddingNames,
  blocks: "transformer.layer",
  form: {
    names: {
      query: "attention.q_lin",
      key: "attention.k_lin",
      value: "attention.v_lin",
      output: "attention.out_lin",
      norm1: "sa_layer_norm",
      inner: "ffn.lin1",
      outer: "ffn.lin2",
      norm2: "output_layer_norm",
      attention: "attention",
      mlp: "ffn",
    },
    norms: "after",
  },
};

/** Heads of transformers' classes on top of these encoders. */
const HEADS =
  "cls\\.|lm_head\\.|classifier\\.|pre_classifier\\.|qa_outputs\\.|vocab_(?:transform|layer_norm|projector)\\.";

/** The pooler is a part of the tower where features are what it makes; else files may have one or not, and it is left as the base has it. */
function layoutOf(title: string, parts: readonly string[], hasPooler: boolean): TowerLayout {
  return {
    title,
    ...commonNames,
    tower: {
      prefix: "",
      parts: ["embeddings.", ...parts, ...(hasPooler ? ["pooler."] : [])],
      sign: embeddingNames.words,
      beside: [],
      rest: new RegExp(`^(?:${HEADS}${hasPooler ? "" : "|pooler\\."})`),
    },
  };
}

export const bertLayout = (hasPooler: boolean): TowerLayout =>
  layoutOf("a BERT model or its encoder", ["encoder."], hasPooler);
export const robertaLayout = (hasPooler: boolean): TowerLayout =>
  layoutOf("a RoBERTa model or its encoder", ["encoder."], hasPooler);
export const distilbertLayout = (): TowerLayout =>
  layoutOf("a DistilBERT model or its encoder", ["transformer."], false);
