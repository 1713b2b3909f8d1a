/**
 * Merges of models whose tensors have any type: floats are merged, quantised weights refused, the rest is copied where
 * all models agree; and the files around it.
 */
import { mkdir, mkdtemp, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { encodeFloat16 } from "../../../src/checkpoint/float16.js";
import { type WritableTensor, writeSafetensors } from "../../../src/checkpoint/safetensors-writer.js";
import { readMergeFile } from "../../../src/config/merge-file.js";
import { CheckpointError, ConfigError } from "../../../src/errors.js";
import { openBase, openExpert } from "../../../src/model/open-models.js";
import { mergeModels } from "../../../src/run/merge-models/merge-models.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "merge-types-"));
});

const NAME = "model.layers.0.mlp.weight";
const tensor = (dtype: string, data: Uint8Array | Float32Array, name = NAME, shape = [2, 2]): WritableTensor => ({
  name,
  dtype,
  shape,
  data,
});
const doubles = (...values: number[]) => tensor("F64", new Uint8Array(Float64Array.from(values).buffer));
const halves = (...values: number[]) => tensor("F16", new Uint8Array(encodeFloat16(Float32Array.from(values)).buffer));
/** 1, 2, -1, 0.5 */
const EIGHTS = { F8_E4M3: [0x38, 0x40, 0xb8, 0x30], F8_E5M2: [0x3c, 0x40, 0xbc, 0x38] };

async function save(name: string, tensors: readonly WritableTensor[], files: Readonly<Record<string, unknown>> = {}) {
  await mkdir(join(folder, name), { recursive: true });
  await writeSafetensors(join(folder, name, "model.safetensors"), tensors);
  for (const [file, content] of Object.entries({ "config.json": { num_hidden_layers: 1 }, ...files }))
    await writeFile(join(folder, name, file), JSON.stringify(content));
}

async function merge(more: string, list = "models: [{model: a}, {model: b}]\n") {
  const [path, log] = [join(folder, "m.yaml"), [] as string[]];
  await writeFile(path, `${list}merge_method: linear\nparameters: {weight: 1}\n${more}`);
  const options = { overwrite: true, signal: new AbortController().signal, onProgress: () => {}, threads: 1 };
  await mergeModels(await readMergeFile(path), join(folder, "out"), { ...options, log: (line) => log.push(line) });
  const out = await openCheckpoint(join(folder, "out"));
  return { dtype: out.tensors.get(NAME)?.dtype, values: [...(await out.readFloat32(NAME))], log: log.join("\n") };
}

describe("floats", () => {
  it("float64 with float16, in the type of the first, or the one that is asked for; it says in which precision", async () => {
    await save("a", [doubles(1, 2.5, -3, 1 / 3)]);
    await save("b", [halves(3, 0.5, 1, 0)]);
    const { dtype, values, log } = await merge("");
    expect([dtype, ...values]).toEqual(["F64", 2, 1.5, -1, Math.fround(Math.fround(1 / 3) / 2)]);
    expect(log).toContain("notice: a has weights of float64: they are rounded to float32");
    expect(await merge("dtype: torch.bfloat16\n")).toMatchObject({
      dtype: "BF16",
      values: [2, 1.5, -1, 0.16699].map((v) => expect.closeTo(v, 3)),
    });
    const turned = await merge("", "models: [{model: b}, {model: a}]\n");
    expect(turned).toMatchObject({ dtype: "F16", values: [2, 1.5, -1, expect.closeTo(1 / 6, 4)] });
  });

  it.each(Object.entries(EIGHTS))("%s into a type that is named, and not without", async (dtype, bits) => {
    await save("a", [tensor(dtype, Uint8Array.from(bits))]);
    await save("b", [halves(3, 0, 1, 0.5)]);
    await expect(merge("")).rejects.toThrow(
      `m.yaml: dtype: expected a type for the merged tensors, since ${join(folder, "a")} has weights of 8 bits ("${NAME}": ${dtype})`,
    );
    expect(await readdir(folder)).not.toContain("out");
    expect(await merge("dtype: float16\n")).toMatchObject({ dtype: "F16", values: [2, 1, 0, 0.5] });
    // Their values are exact, so that another model's type is enough.
    expect(await merge("", "models: [{model: b}, {model: a}]\n")).toMatchObject({
      dtype: "F16",
      values: [2, 1, 0, 0.5],
    });
  });

  it("float64 by methods over the whole model and by task vectors", async () => {
    await save("a", [doubles(1, 2, 3, 4)]);
    await save("b", [doubles(2, 2, 3, 8)]);
    const path = join(folder, "t.yaml");
    for (const text of [
      "merge_method: task_arithmetic\nparameters: {weight: 0.5}\n",
      "method: task_arithmetic\nparameters: {scale: 0.5}\n",
    ]) {
      await writeFile(path, `models: [{model: b}]\nbase_model: a\n${text}`);
      const options = { overwrite: true, signal: new AbortController().signal, log: () => {}, onProgress: () => {} };
      await mergeModels(await readMergeFile(path), join(folder, "out"), options);
      const out = await openCheckpoint(join(folder, "out"));
      expect([out.tensors.get(NAME)?.dtype, ...(await out.readFloat32(NAME))]).toEqual(["F64", 1.5, 2, 3, 6]);
    }
  });
});

describe("quantised weights are refused by what shows them, in merges and in suites", () => {
  const bytes = (dtype: string, name: string, items: number) => tensor(dtype, new Uint8Array(4 * items), name);
  it.each<[string, readonly WritableTensor[], object, RegExp]>([
    [
      "integers",
      [bytes("I8", NAME, 1)],
      {},
      /mlp\.weight": expected plain floats, found quantised weights \(integers, I8\)/,
    ],
    ["GPTQ", [bytes("I32", "l.qweight", 4), bytes("F16", "l.scales", 2)], {}, /"l\.qweight".*\(GPTQ or AWQ\)/],
    [
      "bitsandbytes, 4 bits",
      [bytes("U8", "l.weight", 1), bytes("F32", "l.weight.absmax", 4)],
      {},
      /"l\.weight\.absmax".*bitsandbytes/,
    ],
    [
      "bitsandbytes, 8 bits",
      [bytes("I8", "l.weight", 1), bytes("F32", "l.SCB", 4)],
      {},
      /"l\.SCB".*bitsandbytes, 8 bits/,
    ],
    [
      "8 bits with a scale",
      [bytes("F8_E4M3", "l.weight", 1), bytes("F32", "l.weight_scale_inv", 4)],
      {},
      /"l\.weight_scale_inv".*a scale of weights/,
    ],
    ["compressed-tensors", [bytes("I32", "l.weight_packed", 4)], {}, /"l\.weight_packed".*packed weights/],
    ["MXFP4", [bytes("U8", "l.down_proj_blocks", 1)], {}, /"l\.down_proj_blocks".*integers, U8/],
    ["a scale's type", [bytes("F8_E8M0", "l.factor", 1)], {}, /"l\.factor".*type F8_E8M0/],
    [
      "config.json",
      [halves(1, 2, 3, 4)],
      { quantization_config: { quant_method: "awq" } },
      /a: config\.json: .*quantization_config \(quant_method awq\)/,
    ],
    [
      "config.json of a part",
      [halves(1, 2, 3, 4)],
      { text_config: { quantization_config: {} } },
      /without quant_method/,
    ],
  ])("%s", async (_, tensors, config, message) => {
    await save("a", tensors, { "config.json": config });
    await save("b", [halves(1, 2, 3, 4)]);
    await expect(merge("dtype: float32\n")).rejects.toThrow(message);
    await expect(merge("dtype: float32\n")).rejects.toThrow(CheckpointError);
    await expect(openBase(join(folder, "a"))).rejects.toThrow(message);
    await expect(openExpert(join(folder, "a"), await openBase(join(folder, "b")))).rejects.toThrow(message);
  });

  it("what only has such a name is none", async () => {
    const scale = tensor("F32", new Float32Array([1, 2]), "model.layers.0.mlp.weight_scale", [2]);
    for (const name of ["a", "b"])
      await save(name, [halves(1, 2, 3, 4), scale], { "config.json": { quantization_config: null } });
    expect((await merge("")).values).toEqual([1, 2, 3, 4]);
  });
});

describe("other tensors", () => {
  const ids = (dtype: string, fill: number, name = "position_table") =>
    tensor(dtype, new Uint8Array(16).fill(fill), name, [16 / (dtype === "I64" ? 8 : 1)]);
  it.each<[string, WritableTensor, RegExp]>([
    [
      "values",
      ids("I64", 2),
      /b\/model.safetensors: tensor "position_table": expected the bytes of .*\/a \(I64 \[2\]\).* found other values \(I64 \[2\]\) in model b/,
    ],
    ["types", ids("U8", 1), /found U8 \[16\] in model b/],
  ])("that differ in their %s are named", async (_, other, message) => {
    await save("a", [halves(1, 2, 3, 4), ids("I64", 1)]);
    await save("b", [halves(1, 2, 3, 4), other]);
    await expect(merge("")).rejects.toThrow(message);
    expect(await readdir(folder)).not.toContain("out");
  });

  it("that are equal are copied; those that one lacks, and counters of batches, with a notice", async () => {
    await save("a", [halves(1, 2, 3, 4), ids("I64", 1), ids("U8", 3, "only"), ids("I64", 4, "bn.num_batches_tracked")]);
    await save("b", [halves(1, 2, 3, 4), ids("I64", 1), ids("I64", 5, "bn.num_batches_tracked")]);
    const { log } = await merge("");
    expect(log).toContain("notice: kept from the first model a, as no other model has them: 1 tensor (only)");
    expect(log).toMatch(/copied from the first model a, .*1 tensor \(bn\.num_batches_tracked\)/);
    const [out, a] = [await openCheckpoint(join(folder, "out")), await openCheckpoint(join(folder, "a"))];
    const names = ["position_table", "only", "bn.num_batches_tracked"];
    expect(await out.tensorSha256s(names)).toEqual(await a.tensorSha256s(names));
  });
});

describe("forms of mergekit that are not done here, with key and line", () => {
  const SLICES = (range: string, more = "") =>
    `slices:\n  - sources:\n      - {model: a, layer_range: ${range}}\n      - {model: b, layer_range: [0, 1]}\n${more}`;
  const JSONS = (vocab: object) => ({ "tokenizer.json": { model: { vocab }, added_tokens: [] } });
  it.each<[string, string, string, RegExp]>([
    [
      "stacked slices",
      SLICES("[0, 1]", "  - sources:\n      - {model: a, layer_range: [0, 1]}\n"),
      "",
      /m\.yaml:5: slices\.1: expected one slice over all layers of each model, found 2 slices/,
    ],
    [
      "some layers",
      SLICES("[0, 4]"),
      "",
      /m\.yaml:3: slices\.0\.sources\.0\.layer_range: expected \[0, 1\], all layers of model a, found \[0, 4\]/,
    ],
    ["layers from the middle", SLICES("[1, 1]"), "", /found \[1, 1\]/],
    ["no range", SLICES("all"), "", /m\.yaml:3: slices\.0\.sources\.0\.layer_range: expected \[0, N\]/],
    ["modules", "modules: {x: {models: []}}\n", "", /m\.yaml:1: modules: several modules are not done here/],
    [
      "a template",
      "models: [{model: a}]\n",
      "chat_template: chatml\n",
      /m\.yaml:4: chat_template: expected auto, .*found "chatml"/,
    ],
    [
      "tokens",
      "models: [{model: a}]\n",
      "tokenizer:\n  source: base\n  tokens: {x: {source: a}}\n",
      /m\.yaml:6: tokenizer\.tokens: is not done here/,
    ],
    [
      "no such tokenizer",
      "models: [{model: a}]\n",
      "tokenizer_source: nowhere\n",
      /m\.yaml:4: tokenizer_source: expected base or a model with a tokenizer .*, found nowhere/,
    ],
    [
      "another vocabulary",
      "models: [{model: a}, {model: b}, {model: c}]\n",
      "tokenizer_source: union\n",
      /m\.yaml:4: tokenizer_source: expected models with one vocabulary for union, found another one in model c \(tokenizer\.json\)/,
    ],
    [
      "a type of integers",
      "models: [{model: a}]\n",
      "dtype: int64\n",
      /m\.yaml:4: dtype: expected one of float32, float16, bfloat16, float64, found "int64"/,
    ],
    [
      "a misspelt setting of another method",
      "models: [{model: a, parameters: {densty: 1}}]\n",
      "",
      /m\.yaml:1: models: a: parameters: unknown setting "densty" of linear, .*did you mean density\?/,
    ],
  ])("%s", async (_, list, more, message) => {
    await save("a", [halves(1, 2, 3, 4)], JSONS({ x: 0, y: 1 }));
    // The same vocabulary, written otherwise.
    await save("b", [halves(1, 2, 3, 4)], JSONS({ y: 1, x: 0 }));
    await save("c", [halves(1, 2, 3, 4)], JSONS({ x: 1, y: 0 }));
    const error: unknown = await merge(more, list).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toMatch(message);
    expect(await readdir(folder)).not.toContain("out");
  });

  it("methods that are mergekit's alone are told from those that nobody has", async () => {
    for (const [name, message] of [
      ["model_stock", /x\.yaml:2: merge_method: mergekit's model_stock is not done here/],
      ["della", /mergekit's della is not done here/],
      ["tise", /x\.yaml:2: merge_method: expected one of .*, found tise; did you mean ties\?/],
    ] as const) {
      await writeFile(join(folder, "x.yaml"), `models: [{model: a}]\nmerge_method: ${name}\n`);
      const read = async () =>
        mergeModels(await readMergeFile(join(folder, "x.yaml")), join(folder, "out"), {
          overwrite: false,
          signal: new AbortController().signal,
          log: () => {},
          onProgress: () => {},
        });
      await expect(read()).rejects.toThrow(message);
    }
  });

  it("a tokenizer of all, by any of its names, is copied", async () => {
    await save("a", [halves(1, 2, 3, 4)], JSONS({ x: 0 }));
    await save("b", [halves(1, 2, 3, 4)], JSONS({ x: 0 }));
    for (const more of [
      "tokenizer_source: union\n",
      "tokenizer_source: b\n",
      "tokenizer: {source: 'model:b'}\n",
      "tokenizer: {}\n",
    ]) {
      await merge(more);
      expect(await readdir(join(folder, "out")), more).toContain("tokenizer.json");
    }
  });
});
