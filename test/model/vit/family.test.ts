/** Configs, names and choices of ViT, DeiT and DINOv2: what is read, and what is refused by name. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { towerName, towerTensors } from "../../../src/checkpoint/layout/tower-names.js";
import { CheckpointError, DataError } from "../../../src/errors.js";
import { readClassifier } from "../../../src/model/classifiers.js";
import { familyOf } from "../../../src/model/families.js";
import { parseVitConfig, type VitType } from "../../../src/model/vit/config.js";
import { vitTensors } from "../../../src/model/vit/encoder.js";
import { deitFamily, dinov2Family, vitFamily } from "../../../src/model/vit/family.js";
import { vitLayout } from "../../../src/model/vit/layout.js";
import { folderOf, openModel } from "../../conformance/image-encoders.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adamerge-vit-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const all: readonly VitType[] = ["vit", "deit", "dinov2", "dinov2_with_registers"];
const parse = (json: object) => parseVitConfig(all, json, "m/config.json");

describe("config.json", () => {
  it("has the defaults of transformers", () => {
    expect(parse({ model_type: "vit" })).toMatchObject({
      ...{ hiddenSize: 768, layers: 12, heads: 12, intermediateSize: 3072, imageSize: 224, patchSize: 16 },
      ...{ layerNormEpsilon: 1e-12, poolerSize: 768, registers: 0, isGated: false },
    });
    expect(parse({ model_type: "dinov2" })).toMatchObject({ patchSize: 14, layerNormEpsilon: 1e-6 });
    expect(parse({ model_type: "dinov2_with_registers" })).toMatchObject({ patchSize: 16, registers: 4 });
  });

  it("gives DINOv2's giant the width of its SwiGLU", () => {
    const giant = { hidden_size: 1536, num_attention_heads: 24, use_swiglu_ffn: true };
    expect(parse({ model_type: "dinov2", ...giant }).intermediateSize).toBe(4096);
  });

  it("takes a square that is given by two sides", () => {
    expect(parse({ model_type: "vit", image_size: [32, 32], patch_size: [8, 8] })).toMatchObject({
      imageSize: 32,
      patchSize: 8,
    });
  });

  it.each([
    [{ hidden_act: "swish" }, /hidden_act: expected one of gelu, quick_gelu, found "?swish/],
    [{ qkv_bias: false }, /qkv_bias: expected true, found false/],
    [{ num_channels: 1 }, /num_channels: expected 3, found 1/],
    [{ pooler_act: "relu" }, /pooler_act: expected tanh, found "?relu/],
    [{ image_size: [32, 64] }, /image_size: expected the side of a square in pixels \(1 to 16384\), found \[32,64\]/],
    [{ hidden_size: 2 ** 20 }, /hidden_size: expected a number <= 131072, found 1048576/],
    [{ hidden_size: 100, num_attention_heads: 7 }, /hidden_size: expected a multiple of num_attention_heads \(7\)/],
    [{ patch_size: 300 }, /patch_size: expected at most image_size \(224\), found 300/],
    [{ model_type: "dinov2", mlp_ratio: 1e-6 }, /mlp_ratio: expected an MLP of 1 to 131072 values/],
    [{ model_type: "beit" }, /expected a config.json with model_type vit or deit or .*, found "beit"/],
  ])("refuses %j", (keys, message) => {
    const json = { model_type: "vit", ...keys };
    expect(() => parse(json)).toThrow(message);
    expect(() => parse(json)).toThrow(CheckpointError);
  });
});

describe("names", () => {
  it.each(["vit", "vit-classifier", "deit-classifier", "dinov2-swiglu", "registers-classifier"])(
    "of %s are those of its file, whatever is in front and on top",
    async (name) => {
      const { model, checkpoint } = await openModel(name);
      const { names, around } = towerTensors(model.layout, checkpoint.tensors.keys(), checkpoint.path);
      expect([...names.keys()].toSorted()).toEqual(model.tensors.map((tensor) => tensor.name).toSorted());
      for (const tensor of model.tensors)
        expect(checkpoint.tensors.get(names.get(tensor.name) ?? "")?.shape, tensor.name).toEqual(tensor.shape);
      expect(around.toSorted()).toEqual(name.endsWith("classifier") ? ["classifier.bias", "classifier.weight"] : []);
    },
  );

  it("have a pooler where features are read from it", async () => {
    const { model, checkpoint } = await openModel("vit", { pooling: "pooler", normalized: false });
    const { names } = towerTensors(model.layout, checkpoint.tensors.keys(), checkpoint.path);
    expect(names.get("pooler.dense.weight")).toBe("pooler.dense.weight");
    expect(model.tensors.at(-1)?.name).toBe("pooler.dense.bias");
    expect(model.featureSize).toBe(8);
  });

  // What peft and the modules of both versions call layers, behind `base_model.model.`.
  it.each([
    ["vit", "vit.encoder.layer.1.attention.attention.query.weight", "encoder.layer.1.attention.attention.query.weight"],
    ["vit", "vit.layers.1.attention.q_proj.weight", "encoder.layer.1.attention.attention.query.weight"],
    ["vit", "layers.10.attention.o_proj.bias", "encoder.layer.10.attention.output.dense.bias"],
    ["vit", "vit.layers.0.mlp.fc1.weight", "encoder.layer.0.intermediate.dense.weight"],
    ["deit", "deit.layers.0.mlp.fc2.weight", "encoder.layer.0.output.dense.weight"],
    ["deit", "deit.layers.0.layernorm_before.gamma", "encoder.layer.0.layernorm_before.weight"],
    ["deit", "deit.embeddings.distillation_token", "embeddings.distillation_token"],
    ["dinov2", "encoder.layer.2.attention.k_proj.weight", "encoder.layer.2.attention.attention.key.weight"],
    ["dinov2", "dinov2.encoder.layer.2.attention.v_proj.bias", "encoder.layer.2.attention.attention.value.bias"],
    ["dinov2", "dinov2.encoder.layer.2.mlp.fc1.weight", "encoder.layer.2.mlp.fc1.weight"],
    ["dinov2", "encoder.layer.2.mlp.down_proj.weight", "encoder.layer.2.mlp.weights_out.weight"],
    ["dinov2_with_registers", "dinov2_with_registers.layernorm.weight", "layernorm.weight"],
    ["vit", "classifier.weight", undefined],
    ["deit", "distillation_classifier.bias", undefined],
    ["vit", "pooler.dense.weight", undefined],
    ["dinov2", "embeddings.mask_token", undefined],
  ] as const)("%s: %s is %s", (type, name, canonical) => {
    expect(towerName(vitLayout(type), name)).toBe(canonical);
  });

  it("roles: blocks, what is before and behind, what shares an input", () => {
    const tensors = vitTensors(parse({ model_type: "deit", num_hidden_layers: 2 }), { pooling: "cls" });
    const of = (name: string) => tensors.find((tensor) => tensor.name === name);
    expect(of("embeddings.distillation_token")?.part).toBe("embeddings");
    expect(of("layernorm.bias")?.part).toBe("output");
    expect(of("encoder.layer.1.attention.attention.value.weight")).toMatchObject({
      block: 1,
      part: "block",
      sharesInput: "encoder.layer.1.attention.attention.query.weight",
    });
    expect(tensors.filter(({ part }) => part === "block").length).toBe(2 * 16);
  });
});

describe("opening", () => {
  it("finds the family by model_type", () => {
    expect(familyOf({ model_type: "vit" }, "m")).toBe(vitFamily);
    expect(familyOf({ model_type: "dinov2_with_registers" }, "m")).toBe(dinov2Family);
    expect(familyOf({ model_type: "deit" }, "m")).toBe(deitFamily);
  });

  it("refuses the classifier of a DeiT that was distilled by name", async () => {
    const place = join(folder, "teacher");
    await cp(folderOf("deit-classifier"), place, { recursive: true });
    const file = join(place, "config.json");
    const json: object = JSON.parse(await readFile(file, "utf8"));
    await writeFile(file, JSON.stringify({ ...json, architectures: ["DeiTForImageClassificationWithTeacher"] }));
    await expect(readClassifier(place, deitFamily, { task: "t", classes: 5, featureSize: 12 })).rejects.toThrow(
      /the classifier of a DeiTForImageClassificationWithTeacher is not read: the mean of two classifiers/,
    );
  });

  it("features are part of the facts, and so is the size of the images", async () => {
    const facts = async (...of: Parameters<typeof openModel>) => JSON.stringify((await openModel(...of)).model.facts);
    const cls = await facts("dinov2-classifier");
    expect(await facts("dinov2-classifier", { pooling: "mean", normalized: false })).not.toBe(cls);
    expect(await facts("dinov2-classifier", { pooling: "cls", normalized: true })).not.toBe(cls);
    expect(cls).toContain('"height":20,"width":18');
  });

  it("inputs are images of the preprocessing's size", async () => {
    const { model } = await openModel("dinov2-classifier", { pooling: "cls_mean", normalized: false });
    expect(model.inputs(5).get("images")).toEqual({ shape: [5, 20, 18, 3], dtype: "uint8" });
    expect(model.featureSize).toBe(24);
    expect(model.valuesPerExample()).toBeGreaterThan(3 * 3 * 20 * 18);
  });

  it("refuses features that the family has not", async () => {
    const refused = openModel("dinov2", { pooling: "pooler", normalized: false });
    await expect(refused).rejects.toThrow(
      /expected features that DINOv2.* has \(pooling cls, mean, cls_mean\), found pooler/,
    );
  });

  it("refuses images of another size where positions are not interpolated, and too small ones", async () => {
    const copy = async (name: string, size: object) => {
      await cp(folderOf(name), join(folder, name), { recursive: true });
      const file = join(folder, name, "preprocessor_config.json");
      const json: object = JSON.parse(await readFile(file, "utf8"));
      await writeFile(file, JSON.stringify({ ...json, ...size }));
      const { config } = await openCheckpoint(join(folder, name));
      return familyOf(config, folder).open({ config, folder: join(folder, name) });
    };
    const exact = { height: 24, width: 24 };
    await expect(copy("vit", { size: exact })).rejects.toThrow(/expected images of 16x16 .*found 24x24/);
    await expect(copy("dinov2", { crop_size: exact })).resolves.toBeDefined();
    const tiny = { height: 3, width: 24 };
    await expect(copy("dinov2", { crop_size: tiny })).rejects.toThrow(/images of at least 4x4 .*found 24x3/);
    await expect(copy("dinov2", { image_processor_type: "EfficientNetImageProcessor" })).rejects.toThrow(DataError);
  });
});
