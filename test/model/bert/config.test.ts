import { describe, expect, it } from "vitest";
import { towerName, towerTensors } from "../../../src/checkpoint/layout/tower-names.js";
import { parseBertConfig, parseDistilbertConfig, parseRobertaConfig } from "../../../src/model/bert/config.js";
import { bertLayout, distilbertLayout } from "../../../src/model/bert/layout.js";
import { bert, distilbert, roberta, type TextFamily, textModelOf } from "../../../src/model/bert/text-families.js";
import type { FeatureChoice } from "../../../src/model/family.js";

const CLS: FeatureChoice = { pooling: "cls", normalized: false };
const POOLER: FeatureChoice = { pooling: "pooler", normalized: false };
const modelOf = (family: TextFamily, json: unknown, features = CLS) =>
  textModelOf(family, family.parse(json, "c"), features, "c");
const parameters = (family: TextFamily, json: unknown, features = CLS): number =>
  modelOf(family, json, features).tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);

describe("published encoders by their config.json", () => {
  it("bert-base-uncased has 109,482,240 parameters with its pooler, as published", () =>
    expect(parameters(bert, {}, POOLER)).toBe(109_482_240));
  it("MiniLM-L6 has 22,713,216 with its pooler, and 147,840 less without", () => {
    const json = { hidden_size: 384, num_hidden_layers: 6, intermediate_size: 1536 };
    expect(parameters(bert, json, POOLER)).toBe(22_713_216);
    expect(parameters(bert, json)).toBe(22_713_216 - 147_840);
  });
  it("roberta-base has 124,055,040 without a pooler, and room for 512 tokens", () => {
    const json = { vocab_size: 50265, max_position_embeddings: 514, type_vocab_size: 1 };
    expect(parameters(roberta, json)).toBe(124_055_040);
    const model = modelOf(roberta, json);
    expect(model.lengths?.at(-1)).toBe(512);
    expect([...model.inputs(2, 16).keys()]).toEqual(["input_ids", "attention_mask"]);
  });
  it("distilbert-base-uncased has 66,362,880", () => expect(parameters(distilbert, {})).toBe(66_362_880));
});

describe("configs that are not computed here are refused by name", () => {
  const wide = { is_decoder: true, add_cross_attention: true, position_embedding_type: "relative_key" };
  it("decoders, cross-attention and relative positions, all at once", () => {
    expect(() => parseBertConfig(wide, "c.json")).toThrow(
      /c\.json: not the config\.json of a BERT encoder that can be merged here: position_embedding_type: only learned absolute .*is_decoder: expected an encoder, found a decoder.*add_cross_attention/,
    );
  });
  it.each(["silu", "mish", "constructor"])("the activation %s", (hidden_act) => {
    expect(() => parseRobertaConfig({ hidden_act }, "c.json")).toThrow(
      `hidden_act: expected one of gelu, gelu_new, gelu_pytorch_tanh, relu, found "${hidden_act}"`,
    );
  });
  it("sizes that are none", () => {
    const bad = { dim: 0, n_layers: 1e9, vocab_size: "many" };
    expect(() => parseDistilbertConfig(bad, "c.json")).toThrow(/dim: .*; n_layers: .*; vocab_size: /);
    expect(() => parseBertConfig({ hidden_size: 100, num_attention_heads: 3 }, "c.json")).toThrow(
      "num_attention_heads: expected a divisor of the width (100), found 3",
    );
    expect(() => parseRobertaConfig({ max_position_embeddings: 3 }, "c.json")).toThrow(
      "max_position_embeddings: expected room for two tokens behind position 2, found 3",
    );
    expect(() => parseBertConfig(undefined, "c.json")).toThrow("c.json: expected the config.json of a BERT model");
  });
  it("a pooling that the family has not", () => {
    expect(() => modelOf(distilbert, {}, POOLER)).toThrow(
      'c: expected one of the poolings of DistilBERT (cls, mean), found "pooler"',
    );
  });
});

describe("names", () => {
  const found = (layout: ReturnType<typeof bertLayout>, ...names: string[]) => [
    ...towerTensors(layout, names, "m").names.keys(),
  ];
  const words = "embeddings.word_embeddings.weight";
  const dense = "encoder.layer.0.output.dense.weight";

  it("are found under any prefix and wrapper, with heads around", () => {
    const names = [words, dense, "pooler.dense.weight"];
    for (const prefix of ["", "bert.", "module.bert.", "0.auto_model.", "_orig_mod.model.encoder_q."])
      expect(
        found(
          bertLayout(true),
          ...names.map((name) => prefix + name),
          "cls.predictions.bias",
          "bert.embeddings.position_ids",
        ),
      ).toEqual(names);
  });
  it("have the pooler only where features are what it makes", () => {
    const names = [words, dense, "pooler.dense.weight", "classifier.weight"];
    expect(found(bertLayout(false), ...names)).toEqual([words, dense]);
    expect(found(bertLayout(false), ...names.map((name) => `bert.${name}`))).toEqual([words, dense]);
  });
  it("of the first files", () => {
    expect(found(bertLayout(true), "bert.embeddings.LayerNorm.gamma", `bert.${words}`)).toEqual([
      "embeddings.LayerNorm.weight",
      words,
    ]);
  });
  it("of an adapter by themselves", () => {
    const query = "encoder.layer.3.attention.self.query.weight";
    expect(towerName(bertLayout(false), query)).toBe(query);
    expect(towerName(bertLayout(false), `bert.${query}`)).toBe(query);
    expect(towerName(bertLayout(false), "classifier.weight")).toBeUndefined();
    expect(towerName(distilbertLayout(), "distilbert.transformer.layer.0.ffn.lin1.weight")).toBe(
      "transformer.layer.0.ffn.lin1.weight",
    );
  });
});
