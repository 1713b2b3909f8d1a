/**
 * Changed models as truncated adapters: what is written is what our reader makes of it. What peft makes of it:
 * test/conformance/bert-adapters.test.ts.
 */
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readAdapterOf } from "../../src/checkpoint/adapter/adapted-tensors.js";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { writeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { layoutOf } from "../../src/model/families.js";
import { openBase, openExpert } from "../../src/model/open-models.js";
import { CONFORMANCE } from "../conformance/fixture.js";
import { relativeError } from "../support/random.js";
import { readBack, written } from "../support/truncated-adapters.js";

const BERT = join(CONFORMANCE, "text-encoders", "bert");
const GPT2 = join(CONFORMANCE, "conv1d-adapters", "base");
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "truncated-adapter-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const isOfEncoder = (name: string): boolean => name.startsWith("encoder.");

describe("of an encoder", () => {
  it("the stated error is that of what is read back, and vectors are in full", async () => {
    const base = await openCheckpoint(BERT);
    for (const dtype of ["F32", "F16"] as const) {
      const { place, model, report } = await written(folder, base, isOfEncoder, { dtype });
      const found = await readBack(folder, place, base);
      expect(new Set(found.keys())).toEqual(new Set([...base.tensors.keys()].filter(isOfEncoder)));
      const [missed, all] = [[0], [0]];
      for (const [name, values] of found) {
        const [wanted, before] = [await model.readFloat32(name), await base.readFloat32(name)];
        const change = wanted.map((value, index) => value - (before[index] ?? 0));
        const difference = Math.hypot(...values.map((value, index) => value - (wanted[index] ?? 0)));
        missed.push(difference);
        all.push(Math.hypot(...change));
        const truncated = report.truncated.find((entry) => entry.name === name);
        if (truncated === undefined) expect(values, name).toEqual(wanted);
        else expect(difference / Math.hypot(...change), name).toBeCloseTo(truncated.error, 5);
      }
      expect(Math.hypot(...missed) / Math.hypot(...all)).toBeCloseTo(report.error, 5);
      expect(report.error).toBeGreaterThan(0.3);
      expect(report.truncated).toHaveLength(12);
    }
  });

  it("a rank that all matrices have, or more, gives the model", async () => {
    const base = await openCheckpoint(BERT);
    // Matrices of BERT's are [32, 32], [48, 32] and [32, 48].
    const { place, model, report, config } = await written(folder, base, isOfEncoder, { rank: 40 });
    expect(report.error).toBeLessThan(1e-6);
    for (const [name, values] of await readBack(folder, place, base))
      expect(relativeError(values, await model.readFloat32(name)), name).toBeLessThan(1e-7);
    expect(config).toMatchObject({ r: 40, lora_alpha: 40 });
    expect(config.rank_pattern["encoder.layer.0.attention.self.query"]).toBe(32);
    expect(config.alpha_pattern).toEqual(config.rank_pattern);
    // As experts of suites are read, too.
    const ofSuite = await openBase(BERT);
    const expert = await openExpert(place, ofSuite);
    for (const name of expert.tensors.keys())
      expect(relativeError(await expert.readFloat32(name), await model.readFloat32(name)), name).toBeLessThan(1e-7);
  });

  it("is written as peft writes it", async () => {
    const base = await openCheckpoint(BERT);
    const { place, config, tensors } = await written(
      folder,
      base,
      (name) => /layer\.1\.(?:output|intermediate)/.test(name),
      {
        taskType: "FEATURE_EXTRACTION",
        dtype: "F16",
      },
    );
    expect((await readdir(place)).toSorted()).toEqual([
      ".adamerge-files.json",
      "adapter_config.json",
      "adapter_model.safetensors",
    ]);
    expect(config).toMatchObject({
      peft_type: "LORA",
      task_type: "FEATURE_EXTRACTION",
      base_model_name_or_path: "../base",
      inference_mode: true,
      r: 4,
      lora_alpha: 4,
      rank_pattern: {},
      bias: "lora_only",
      fan_in_fan_out: false,
      target_modules: ["encoder.layer.1.intermediate.dense", "encoder.layer.1.output.dense"],
      modules_to_save: ["encoder.layer.1.output.LayerNorm"],
    });
    const prefix = "base_model.model.encoder.layer.1";
    expect([...tensors].map(([name, { dtype, shape }]) => [name.replace(prefix, ""), dtype, shape.join()])).toEqual([
      [".intermediate.dense.base_layer.bias", "F32", "48"],
      [".output.LayerNorm.bias", "F32", "32"],
      [".output.LayerNorm.weight", "F32", "32"],
      [".output.dense.base_layer.bias", "F32", "32"],
      [".intermediate.dense.lora_A.weight", "F16", "4,32"],
      [".intermediate.dense.lora_B.weight", "F16", "48,4"],
      [".output.dense.lora_A.weight", "F16", "4,48"],
      [".output.dense.lora_B.weight", "F16", "32,4"],
    ]);
  });

  it("a bias alone is a bias, and a table of embeddings is saved whole", async () => {
    const base = await openCheckpoint(BERT);
    const changed = [
      "encoder.layer.0.output.LayerNorm.bias",
      "embeddings.word_embeddings.weight",
      "pooler.dense.weight",
    ];
    const { place, report, config, model } = await written(folder, base, (name) => changed.includes(name));
    expect(config).toMatchObject({
      bias: "all",
      modules_to_save: ["embeddings.word_embeddings"],
      target_modules: ["pooler.dense"],
    });
    const found = await readBack(folder, place, base);
    expect(new Set(found.keys())).toEqual(new Set(changed));
    expect(report.whole).toEqual(["embeddings.word_embeddings.weight", "encoder.layer.0.output.LayerNorm.bias"]);
    for (const name of report.whole) expect(found.get(name)).toEqual(await model.readFloat32(name));
  });

  it("is the same bytes each time", async () => {
    const base = await openCheckpoint(BERT);
    const hashes = [];
    for (const _ of [0, 1]) {
      const { place } = await written(folder, base, isOfEncoder);
      const bytes = await Promise.all(
        ["adapter_config.json", "adapter_model.safetensors"].map((name) => readFile(join(place, name))),
      );
      hashes.push(bytes.map((data) => createHash("sha256").update(data).digest("hex")));
    }
    expect(hashes[0]).toEqual(hashes[1]);
  });

  it("below a base in half precision is the change of the values that it has", async () => {
    const source = await openCheckpoint(BERT);
    const half = join(folder, "half");
    const names = [...source.tensors];
    await writeSafetensors(
      join(await mkdtemp(half), "model.safetensors"),
      await Promise.all(
        names.map(async ([name, { shape }]) => ({ name, shape, dtype: "F16", data: await source.readFloat32(name) })),
      ),
    );
    const [place = ""] = (await readdir(folder)).filter((name) => name.startsWith("half"));
    const base = { ...(await openCheckpoint(join(folder, place))), config: source.config };
    const { place: adapter, model } = await written(folder, base, isOfEncoder, { rank: 40 });
    const expert = await openExpert(adapter, {
      ...(await openBase(BERT)),
      tensors: base.tensors,
      readFloat32: base.readFloat32,
    });
    for (const name of expert.tensors.keys())
      expect(relativeError(await expert.readFloat32(name), await model.readFloat32(name)), name).toBeLessThan(1e-7);
  });
});

describe("of GPT-2, which keeps its weights [inputs, outputs]", () => {
  it("with matrices that are square and others", async () => {
    const base = await openCheckpoint(GPT2);
    const { place, model, config, report } = await written(folder, base, (name) => name.includes(".h."), { rank: 8 });
    expect(config.fan_in_fan_out).toBe(true);
    expect(report.truncated).toHaveLength(8);
    for (const [name, values] of await readBack(folder, place, base))
      expect(relativeError(values, await model.readFloat32(name)), name).toBeLessThan(1e-6);
  });

  it("a table of words that may be the head, too, is refused", async () => {
    const base = await openCheckpoint(GPT2);
    const tied = { ...base, config: { architectures: ["GPT2LMHeadModel"] } };
    const isChanged = (name: string): boolean => /wte|c_fc/.test(name);
    await expect(written(folder, tied, isChanged)).rejects.toThrow(
      /tensor "transformer\.wte\.weight" changed, and may be one with another tensor of the model \(tie_word_embeddings/,
    );
    // The fixture says that they are two.
    const { config } = await written(folder, base, isChanged);
    expect(config.modules_to_save).toEqual(["transformer.wte"]);
  });
});

describe("of models whose modules transformers 5 calls otherwise than their files", () => {
  const encoder = (name: string): string => join(CONFORMANCE, "image-encoders", name);

  it("ViT: has the names of the modules, and is read as expert and in merge files", async () => {
    const base = await openCheckpoint(encoder("vit"));
    const isChanged = (name: string): boolean => name.startsWith("encoder.layer.0.");
    const { place, config, model } = await written(folder, base, isChanged, { rank: 40 });
    const own = ["attention.k_proj", "attention.o_proj", "attention.q_proj", "attention.v_proj", "mlp.fc1", "mlp.fc2"];
    expect(config.target_modules).toEqual(own.map((name) => `layers.0.${name}`));
    expect(config.modules_to_save).toEqual(["layers.0.layernorm_after", "layers.0.layernorm_before"]);
    const expert = await openExpert(place, await openBase(encoder("vit")));
    const changed = [...base.tensors.keys()].filter(isChanged);
    expect(new Set(expert.tensors.keys())).toEqual(new Set(changed));
    for (const name of changed)
      expect(relativeError(await expert.readFloat32(name), await model.readFloat32(name)), name).toBeLessThan(1e-6);
    const adapter = await readAdapterOf(place, base, layoutOf(base.config));
    expect(new Set([...(adapter?.factors.keys() ?? []), ...(adapter?.replaced.keys() ?? [])])).toEqual(
      new Set(changed),
    );
  });

  it("DINOv2: likewise, but with SwiGLU, whose matrix is two modules there, keeps the names of files", async () => {
    for (const [name, query] of [
      ["dinov2", "encoder.layer.1.attention.q_proj"],
      ["dinov2-swiglu", "encoder.layer.1.attention.attention.query"],
    ] as const) {
      const base = await openCheckpoint(encoder(name));
      const { config, place, model } = await written(folder, base, (tensor) => /layer\.1\..*weight/.test(tensor));
      expect(config.target_modules, name).toContain(query);
      expect(config.target_modules.length, name).toBe(6);
      expect((await openExpert(place, await openBase(encoder(name)))).tensors.size).toBeGreaterThan(5);
      expect(model.tensors.size).toBe(base.tensors.size);
    }
  });
});
