/** Changed models as truncated adapters: what is written is what our reader makes of it, and what an adapter cannot hold is refused by its name. */
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readAdapterOf, writeAdapted } from "../../src/checkpoint/adapter/adapted-tensors.js";
import { openCheckpoint, type StoredCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { readModelFile } from "../../src/checkpoint/model-files.js";
import { writeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { readStoredFloat32 } from "../../src/checkpoint/stored-tensor.js";
import {
  type ChangedModel,
  saveTruncatedAdapter,
  type TruncatedAdapterOptions,
} from "../../src/merge/truncated-adapter.js";
import { openBase, openExpert } from "../../src/model/open-models.js";
import { CONFORMANCE } from "../conformance/fixture.js";
import { randomArray, relativeError } from "../support/random.js";

const BERT = join(CONFORMANCE, "text-encoders", "bert");
const GPT2 = join(CONFORMANCE, "conv1d-adapters", "base");
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "truncated-adapter-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The base with random changes of the tensors that `isChanged` names, a tenth of their size. */
async function changedModel(base: StoredCheckpoint, isChanged: (name: string) => boolean): Promise<ChangedModel> {
  const values = new Map<string, Float32Array>();
  for (const name of base.tensors.keys()) {
    const own = await base.readFloat32(name);
    const noise = randomArray(own.length, values.size + 1, -0.05, 0.05);
    values.set(name, isChanged(name) ? own.map((value, index) => value + (noise[index] ?? 0)) : own);
  }
  return {
    path: "model",
    tensors: base.tensors,
    readFloat32: async (name) => values.get(name)?.slice() ?? new Float32Array(),
  };
}

const OPTIONS = { rank: 4, dtype: "F32", baseName: "../base" } as const;

async function written(
  base: StoredCheckpoint,
  isChanged: (name: string) => boolean,
  options: Partial<TruncatedAdapterOptions> = {},
) {
  const place = await mkdtemp(join(folder, "adapter-"));
  const model = await changedModel(base, isChanged);
  const report = await saveTruncatedAdapter(place, { ...OPTIONS, base, model, ...options });
  const config = JSON.parse(await readFile(join(place, "adapter_config.json"), "utf8"));
  const { tensors } = await readModelFile(join(place, "adapter_model.safetensors"));
  return { place, model, report, config, tensors };
}

/** The tensors of a folder's adapter as merges read them, by the base's names. */
async function readBack(place: string, base: StoredCheckpoint): Promise<ReadonlyMap<string, Float32Array>> {
  const adapter = await readAdapterOf(place, base);
  if (adapter === undefined) throw new Error("no adapter");
  const scratch = await mkdtemp(join(folder, "scratch-"));
  const found = await writeAdapted(adapter, base, scratch, new AbortController().signal);
  const values = await Promise.all(
    [...found].map(async ([name, stored]) => [name, await readStoredFloat32(stored)] as const),
  );
  return new Map(values);
}

const isOfEncoder = (name: string): boolean => name.startsWith("encoder.");

describe("of an encoder", () => {
  it("the stated error is that of what is read back, and vectors are in full", async () => {
    const base = await openCheckpoint(BERT);
    for (const dtype of ["F32", "F16"] as const) {
      const { place, model, report } = await written(base, isOfEncoder, { dtype });
      const found = await readBack(place, base);
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
    const { place, model, report, config } = await written(base, isOfEncoder, { rank: 40 });
    expect(report.error).toBeLessThan(1e-6);
    for (const [name, values] of await readBack(place, base))
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
    const { place, config, tensors } = await written(base, (name) => /layer\.1\.(?:output|intermediate)/.test(name), {
      taskType: "FEATURE_EXTRACTION",
      dtype: "F16",
    });
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
    const { place, report, config, model } = await written(base, (name) => changed.includes(name));
    expect(config).toMatchObject({
      bias: "all",
      modules_to_save: ["embeddings.word_embeddings"],
      target_modules: ["pooler.dense"],
    });
    const found = await readBack(place, base);
    expect(new Set(found.keys())).toEqual(new Set(changed));
    expect(report.whole).toEqual(["embeddings.word_embeddings.weight", "encoder.layer.0.output.LayerNorm.bias"]);
    for (const name of report.whole) expect(found.get(name)).toEqual(await model.readFloat32(name));
  });

  it("is the same bytes each time", async () => {
    const base = await openCheckpoint(BERT);
    const hashes = [];
    for (const _ of [0, 1]) {
      const { place } = await written(base, isOfEncoder);
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
    const { place: adapter, model } = await written(base, isOfEncoder, { rank: 40 });
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
    const { place, model, config, report } = await written(base, (name) => name.includes(".h."), { rank: 8 });
    expect(config.fan_in_fan_out).toBe(true);
    expect(report.truncated).toHaveLength(8);
    for (const [name, values] of await readBack(place, base))
      expect(relativeError(values, await model.readFloat32(name)), name).toBeLessThan(1e-6);
  });

  it("a table of words that may be the head, too, is refused", async () => {
    const base = await openCheckpoint(GPT2);
    const tied = { ...base, config: { architectures: ["GPT2LMHeadModel"] } };
    const isChanged = (name: string): boolean => /wte|c_fc/.test(name);
    await expect(written(tied, isChanged)).rejects.toThrow(
      /tensor "transformer\.wte\.weight" changed, and may be one with another tensor of the model \(tie_word_embeddings/,
    );
    // The fixture says that they are two.
    const { config } = await written(base, isChanged);
    expect(config.modules_to_save).toEqual(["transformer.wte"]);
  });
});

describe("names that peft takes for the ends of others", () => {
  const baseOf = async (shapes: Readonly<Record<string, readonly number[]>>): Promise<StoredCheckpoint> => {
    const place = await mkdtemp(join(folder, "base-"));
    const tensors = Object.entries(shapes).map(([name, shape], seed) => ({
      name,
      shape,
      dtype: "F32",
      data: randomArray(
        shape.reduce((product, dim) => product * dim, 1),
        seed + 9,
      ),
    }));
    await writeSafetensors(join(place, "model.safetensors"), tensors);
    await writeFile(join(place, "config.json"), "{}");
    return openCheckpoint(place);
  };

  it("are saved along, excluded, or have a rank of their own", async () => {
    const base = await baseOf({
      "norm.weight": [6],
      "layer.input_norm.weight": [6],
      "layer.fc.weight": [6, 3],
      "other.layer.fc.weight": [6, 6],
      "third.layer.fc.weight": [6, 6],
    });
    const isChanged = (name: string): boolean => !/^layer.input|^third/.test(name);
    const { config, place, report } = await written(base, isChanged);
    expect(config).toMatchObject({
      modules_to_save: ["layer.input_norm", "norm"],
      exclude_modules: ["third.layer.fc"],
      target_modules: ["layer.fc", "other.layer.fc"],
    });
    expect(Object.entries(config.rank_pattern)).toEqual([
      ["other.layer.fc", 4],
      ["layer.fc", 3],
    ]);
    expect(report.whole).toEqual(["layer.input_norm.weight", "norm.weight"]);
    expect([...(await readBack(place, base)).keys()].toSorted()).toEqual(
      [...base.tensors.keys()].filter((name) => !name.startsWith("third")).toSorted(),
    );
  });

  it("a parameter of a module's own is saved with the module, and refused where peft would find another in it", async () => {
    const shapes = {
      "vit.embeddings.cls_token": [1, 1, 4],
      "vit.embeddings.patch_embeddings.weight": [4, 3, 2, 2],
      "vit.fc.weight": [4, 4],
    };
    const isChanged = (name: string): boolean => !name.includes("patch");
    const { config, report } = await written(await baseOf(shapes), isChanged);
    expect(config.modules_to_save).toEqual(["vit.embeddings"]);
    expect(report.whole).toEqual(["vit.embeddings.cls_token", "vit.embeddings.patch_embeddings.weight"]);
    const bare = await baseOf(
      Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name.slice(4), shape])),
    );
    await expect(written(bare, isChanged)).rejects.toThrow(
      /peft would take "embeddings\.patch_embeddings" in it for another/,
    );
  });

  it("refuses what an adapter cannot change", async () => {
    const base = await baseOf({ "fc.weight": [4, 4], scale: [4], "norm.weight": [4], "a b.weight": [4, 4] });
    const cases: [RegExp, RegExp][] = [
      [/fc|scale/, /tensor "scale" changed, and lies in no module of its own/],
      [/^norm/, /expected at least one changed matrix of a linear layer, found 1 changed tensors of other kinds/],
      [/a b/, /module "a b": expected a name of letters/],
      [/nothing/, /expected tensors that differ from .*, found none/],
    ];
    for (const [changed, message] of cases)
      await expect(written(base, (name) => changed.test(name))).rejects.toThrow(message);
    for (const rank of [0, 1.5])
      await expect(written(base, (name) => name === "fc.weight", { rank })).rejects.toThrow(
        /rank of an adapter: expected a whole number from 1/,
      );
    const model = await changedModel(base, () => true);
    const other = { ...model, tensors: new Map([["fc.weight", { shape: [4, 5] }]]) };
    await expect(written(base, () => true, { model: other })).rejects.toThrow(
      /tensor "fc\.weight" \[4, 5\]: expected the same in the base .*, found shape \[4, 4\]/,
    );
    const infinite = {
      ...model,
      readFloat32: async () => new Float32Array(16).fill(Number.NaN),
      tensors: new Map([["fc.weight", { shape: [4, 4] }]]),
    };
    await expect(written(base, () => true, { model: infinite })).rejects.toThrow(
      /tensor "fc\.weight": expected finite values/,
    );
  });

  it("a folder that has other files stays as it is", async () => {
    const base = await baseOf({ "fc.weight": [4, 4] });
    const place = await mkdtemp(join(folder, "mine-"));
    await writeFile(join(place, "mine.txt"), "mine");
    const model = await changedModel(base, () => true);
    for (const replace of [false, true])
      await expect(saveTruncatedAdapter(place, { ...OPTIONS, base, model, replace })).rejects.toThrow(/mine/);
    expect(await readdir(place)).toEqual(["mine.txt"]);
    const own = join(place, "adapter");
    await saveTruncatedAdapter(own, { ...OPTIONS, base, model });
    await saveTruncatedAdapter(own, { ...OPTIONS, base, model, replace: true });
  });
});
