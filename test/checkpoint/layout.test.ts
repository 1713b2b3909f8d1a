/** Names of tensors across files of one architecture: prefixes, wrappers, spellings, towers in whole models, and what could be either of two. */
import { describe, expect, it } from "vitest";
import { alignNames } from "../../src/checkpoint/layout/align-names.js";
import { anyLayout } from "../../src/checkpoint/layout/common-names.js";
import { respelled, unwrappedNames } from "../../src/checkpoint/layout/plain-names.js";
import { isDerived } from "../../src/checkpoint/layout/tensor-layout.js";
import { saysTied, tiedSource, tieOf } from "../../src/checkpoint/layout/ties.js";
import { towerName, towerTensors } from "../../src/checkpoint/layout/tower-names.js";
import { clipTextLayout, clipVisionLayout } from "../../src/model/clip/layout.js";

type Shapes = Readonly<Record<string, readonly number[]>>;
const shapes = (tensors: Shapes) => new Map(Object.entries(tensors));
/** The pattern's names with the other file's, as text. */
const aligned = (pattern: Shapes, own: Shapes) =>
  Object.fromEntries(alignNames(shapes(pattern), shapes(own), "m").ownOf);
const prefixed = (prefix: string, tensors: Shapes): Shapes =>
  Object.fromEntries(Object.entries(tensors).map(([name, shape]) => [prefix + name, shape]));

const TOWER: Shapes = {
  "embeddings.patch_embedding.weight": [4, 3, 2, 2],
  "encoder.layers.0.mlp.fc1.weight": [8, 4],
  "encoder.layers.1.mlp.fc1.weight": [8, 4],
  "post_layernorm.weight": [4],
};
const TEXT: Shapes = {
  "embeddings.token_embedding.weight": [9, 4],
  "encoder.layers.0.mlp.fc1.weight": [8, 4],
  "encoder.layers.1.mlp.fc1.weight": [8, 4],
  "encoder.layers.2.mlp.fc1.weight": [8, 4],
};
const WHOLE = { ...prefixed("text_model.", TEXT), ...prefixed("vision_model.", TOWER), logit_scale: [] };

describe("aligned names", () => {
  it.each([
    ["the same", "", ""],
    ["a base model's prefix added", "", "transformer."],
    ["a base model's prefix left out", "bert.", ""],
    ["a wrapper for a prefix", "vision_model.", "net.model."],
  ])("%s", (_name, pattern, own) => {
    const found = aligned(prefixed(pattern, TOWER), prefixed(own, TOWER));
    expect(found).toEqual(Object.fromEntries(Object.keys(TOWER).map((name) => [pattern + name, own + name])));
  });

  it("a tower alone is the tower of a whole model of its kind, though another has the same blocks", () => {
    expect(aligned(WHOLE, TOWER)).toEqual(
      Object.fromEntries(Object.keys(TOWER).map((name) => [`vision_model.${name}`, name])),
    );
    expect(aligned(WHOLE, TEXT)).toEqual(
      Object.fromEntries(Object.keys(TEXT).map((name) => [`text_model.${name}`, name])),
    );
    expect(aligned(TOWER, WHOLE)).toEqual(
      Object.fromEntries(Object.keys(TOWER).map((name) => [name, `vision_model.${name}`])),
    );
  });

  it("a block of one tower never stands for one that another tower lacks", () => {
    const deeper = { ...TOWER, "encoder.layers.2.mlp.fc1.weight": [8, 4] };
    expect(aligned(deeper, WHOLE)).not.toHaveProperty(["encoder.layers.2.mlp.fc1.weight"]);
    expect(aligned(prefixed("vision_model.", deeper), WHOLE)).not.toHaveProperty([
      "vision_model.encoder.layers.2.mlp.fc1.weight",
    ]);
  });

  it("parts of a model may have moved each by itself", () => {
    const old = { ...prefixed("language_model.model.", TEXT), ...prefixed("vision_tower.", TOWER) };
    const now = { ...prefixed("model.language_model.", TEXT), ...prefixed("model.vision_tower.", TOWER) };
    const { ownOf, changes } = alignNames(shapes(now), shapes(old), "m");
    expect(ownOf.size).toBe(Object.keys(now).length);
    expect(ownOf.get("model.language_model.encoder.layers.2.mlp.fc1.weight")).toBe(
      "language_model.model.encoder.layers.2.mlp.fc1.weight",
    );
    expect(changes).toEqual([
      { own: "", pattern: "model." },
      { own: "language_model.model.", pattern: "model.language_model." },
    ]);
  });

  it("of two copies of a model neither is guessed", () => {
    const two = { ...prefixed("student.", TOWER), ...prefixed("teacher.", TOWER) };
    expect(() => aligned(TOWER, two)).toThrow(
      /m: expected one tensor for "embeddings\.patch_embedding\.weight", found two: "student\.emb.*" and "teacher\.emb.*"\. Save the one that is meant by itself/,
    );
    const only = { "encoder.layers.0.mlp.fc1.weight": [8, 4] };
    expect(() => aligned(WHOLE, only)).toThrow(
      /tensor "encoder\.layers\.0\.mlp\.fc1\.weight": expected one counterpart in the base, found two: "text_model\..*" and "vision_model\./,
    );
  });
});

describe("names without wrappers, in one spelling", () => {
  it.each([
    [
      ["module.a.w", "module.b.w"],
      ["a.w", "b.w"],
    ],
    [["module._orig_mod.module.a.w"], ["a.w"]],
    [["_orig_mod.module.a.w"], ["a.w"]],
    [
      ["layers.0._orig_mod.w", "layers.1._checkpoint_wrapped_module.w"],
      ["layers.0.w", "layers.1.w"],
    ],
    [["_fsdp_wrapped_module.h._fsdp_wrapped_module.w"], ["h.w"]],
    // A part of a model of this name.
    [
      ["module.a.w", "head.w"],
      ["module.a.w", "head.w"],
    ],
  ])("%s", (names, plain) => {
    expect([...unwrappedNames(names, "m").keys()]).toEqual(plain);
  });

  it("two that are one are refused", () => {
    expect(() => unwrappedNames(["a._orig_mod.w", "a.w"], "m")).toThrow(
      /m: expected one tensor for "a\.w", found two: "a\._orig_mod\.w" and "a\.w"\. Remove one/,
    );
  });

  it.each([
    ["bert.encoder.layer.0.output.LayerNorm.gamma", "bert.encoder.layer.0.output.LayerNorm.weight"],
    ["encoder.layer_norm.beta", "encoder.layer_norm.bias"],
    ["blocks.0.ls1.gamma", "blocks.0.ls1.gamma"],
    ["stages.0.blocks.1.gamma", "stages.0.blocks.1.gamma"],
    ["pos_conv.conv.weight_g", "pos_conv.conv.parametrizations.weight.original0"],
  ])("%s", (name, expected) => {
    expect(respelled(anyLayout, name)).toBe(expected);
  });
});

it.each([
  ["h.0.attn.bias", [1, 1, 16, 16], true],
  ["h.0.attn.bias", [48], false],
  ["gpt_neox.layers.3.attention.masked_bias", [], true],
  ["transformer.h.1.attn.attention.bias", [1, 1, 8, 8], true],
  ["model.layers.0.self_attn.rotary_emb.inv_freq", [4], true],
  ["bert.embeddings.position_ids", [1, 512], true],
  ["encoder.layer.0.attention.self.relative_position_index", [4, 4], true],
  ["features.1.num_batches_tracked", [], true],
  ["features.1.running_mean", [4], false],
  ["model.decoder.embed_positions.weight", [20, 4], false],
])("%s of shape %j is derived: %s", (name, shape, expected) => {
  expect(isDerived(anyLayout, name, shape)).toBe(expected);
});

describe("ties", () => {
  it.each([
    ["lm_head.weight", { "model.embed_tokens.weight": [9, 4] }, "model.embed_tokens.weight"],
    ["lm_head.weight", { "transformer.wte.weight": [9, 4] }, "transformer.wte.weight"],
    ["lm_head.weight", { "model.embed_tokens.weight": [8, 4] }, undefined],
    ["embed_out.weight", { "gpt_neox.embed_in.weight": [9, 4] }, "gpt_neox.embed_in.weight"],
    [
      "cls.predictions.decoder.weight",
      { "bert.embeddings.position_embeddings.weight": [9, 4], "bert.embeddings.word_embeddings.weight": [9, 4] },
      "bert.embeddings.word_embeddings.weight",
    ],
    ["proj_out.weight", { "model.decoder.embed_tokens.weight": [9, 4] }, "model.decoder.embed_tokens.weight"],
    ["encoder.embed_tokens.weight", { "shared.weight": [9, 4] }, "shared.weight"],
    ["shared.weight", { "encoder.embed_tokens.weight": [9, 4] }, "encoder.embed_tokens.weight"],
  ])("%s is %j", (name, tensors, expected) => {
    const tie = tieOf(anyLayout, name);
    expect(tie && tiedSource(tie, name, [9, 4], shapes(tensors as unknown as Shapes))).toBe(expected);
  });

  it("is said in config.json, of a model that sees also in its text's", () => {
    expect(saysTied({ tie_word_embeddings: false })).toBe(false);
    expect(saysTied({ text_config: { tie_word_embeddings: true } })).toBe(true);
    expect(saysTied({ model_type: "gpt2" })).toBeUndefined();
    expect(tieOf(anyLayout, "model.layers.0.mlp.weight")).toBeUndefined();
  });
});

describe("towers", () => {
  const names = Object.keys(TOWER);
  const canonical = names.map((name) => `vision_model.${name}`);

  it.each([
    "",
    "vision_model.",
    "model.",
    "model.vision_model.",
    "module._orig_mod.vision_model.",
    "clip.net.vision_model.",
  ])("CLIP's in %j", (prefix) => {
    const { names: found, around } = towerTensors(
      clipVisionLayout,
      names.map((name) => prefix + name),
      "m",
    );
    expect([...found]).toEqual(names.map((name, at) => [canonical[at], prefix + name]));
    expect(around).toEqual([]);
  });

  it("CLIP's in a training loop, whose own tensors are said", () => {
    const file = [
      ...Object.keys(prefixed("model.", WHOLE)),
      "model.visual_projection.weight",
      "head.weight",
      "model.loss.w",
    ];
    const { names: found, around } = towerTensors(clipVisionLayout, file, "m");
    expect([...found.keys()]).toEqual([...canonical, "visual_projection.weight"]);
    expect(around).toEqual(["head.weight", "model.loss.w"]);
    const text = towerTensors(clipTextLayout, file, "m").names;
    expect(text.get("text_model.embeddings.token_embedding.weight")).toBe(
      "model.text_model.embeddings.token_embedding.weight",
    );
    expect(text.get("logit_scale")).toBe("model.logit_scale");
  });

  it("two of a kind are refused, one beside a copy in a wrapper is reported", () => {
    const two = [...names.map((name) => `student.${name}`), ...names.map((name) => `teacher.${name}`)];
    expect(() => towerTensors(clipVisionLayout, two, "m")).toThrow(
      /m: expected one tower, found two: that of "student\.embeddings\..*" and that of "teacher\.embeddings\./,
    );
    const beside = towerTensors(clipVisionLayout, [...canonical, ...canonical.map((name) => `ema.${name}`)], "m").names;
    expect(beside.has("ema.vision_model.post_layernorm.weight")).toBe(true);
  });

  it("an adapter's names are found by themselves", () => {
    expect(towerName(clipVisionLayout, "encoder.layers.0.mlp.fc1.weight")).toBe(
      "vision_model.encoder.layers.0.mlp.fc1.weight",
    );
    expect(towerName(clipVisionLayout, "net.vision_model.encoder.layers.0.mlp.fc1.weight")).toBe(
      "vision_model.encoder.layers.0.mlp.fc1.weight",
    );
    expect(towerName(clipVisionLayout, "text_model.encoder.layers.0.mlp.fc1.weight")).toBeUndefined();
  });
});
