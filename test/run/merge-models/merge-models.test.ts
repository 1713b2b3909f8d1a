/** Merge files on small made models: what is written beside the tensors, methods over the whole model, stopping and going on, and mistakes. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { decodeBfloat16, encodeBfloat16 } from "../../../src/checkpoint/float16.js";
import { writeSafetensors } from "../../../src/checkpoint/safetensors.js";
import { readMergeFile } from "../../../src/config/merge-file.js";
import { mergeMethods } from "../../../src/merge/methods/registry.js";
import { type MergeModelsOptions, mergeModels } from "../../../src/run/merge-models/merge-models.js";
import { ROOT } from "../../support/cli.js";
import { randomArray, relativeError } from "../../support/random.js";

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  "model.embed_tokens.weight": [50, 12],
  "model.layers.0.mlp.weight": [40, 12],
  "model.layers.1.mlp.weight": [40, 12],
  "model.layers.1.norm.bias": [12],
  // More than one piece.
  "lm_head.weight": [7000, 12],
};
const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

let models: string;
let folder: string;
const values = new Map<string, Map<string, Float32Array>>();

beforeAll(async () => {
  models = await mkdtemp(join(tmpdir(), "adamerge-models-"));
  for (const [index, name] of ["base", "one", "two", "three"].entries()) {
    const own = new Map<string, Float32Array>();
    for (const [at, [tensor, shape]] of Object.entries(SHAPES).entries()) {
      const base = values.get("base")?.get(tensor);
      const made = randomArray(size(shape), 100 * index + at, -1, 1);
      own.set(tensor, base === undefined ? made : made.map((value, i) => (base[i] ?? 0) + 0.1 * value));
    }
    values.set(name, own);
    await writeModel(join(models, name), own);
  }
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "adamerge-merge-"));
});

async function writeModel(path: string, own: ReadonlyMap<string, Float32Array>): Promise<void> {
  await mkdir(path, { recursive: true });
  await writeSafetensors(join(path, "model.safetensors"), [
    ...[...own].map(([name, data]) => ({ name, shape: SHAPES[name] ?? [data.length], dtype: "F32", data })),
    { name: "model.position_ids", shape: [2], dtype: "I64", data: new Uint8Array(16).fill(1) },
  ]);
  await writeFile(join(path, "config.json"), JSON.stringify({ model_type: "made", torch_dtype: "float32" }));
  for (const name of ["tokenizer.json", "generation_config.json", "preprocessor_config.json"])
    await writeFile(join(path, name), JSON.stringify({ of: path.split("/").at(-1), name }));
}

async function mergeText(text: string, options: Partial<MergeModelsOptions> = {}, output = join(folder, "out")) {
  const path = join(folder, "merge.yaml");
  await writeFile(path, text.replaceAll("MODELS", models));
  return mergeModels(await readMergeFile(path), output, {
    overwrite: false,
    signal: new AbortController().signal,
    log: () => {},
    onProgress: () => {},
    ...options,
  });
}

const LIST =
  "models:\n  - {model: MODELS/one}\n  - {model: MODELS/two}\n  - {model: MODELS/three}\nbase_model: MODELS/base\n";

describe("a merge", () => {
  it("writes a folder that opens as a checkpoint, with config, tokenizer, card and its own file", async () => {
    const progress: number[] = [];
    const result = await mergeText(
      `${LIST}merge_method: task_arithmetic\nparameters: {weight: 0.4}\ndtype: bfloat16\n`,
      {
        onProgress: ({ doneBytes, totalBytes }) => progress.push(doneBytes / totalBytes),
      },
    );
    expect(result).toMatchObject({ reason: "finished" });
    const output = join(folder, "out");
    expect((await readdir(output)).toSorted()).toEqual(
      [
        ".adamerge-files.json",
        "README.md",
        "config.json",
        "generation_config.json",
        "merge.yaml",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
      ].toSorted(),
    );
    expect(progress.at(-1)).toBe(1);
    expect(JSON.parse(await readFile(join(output, "config.json"), "utf8"))).toEqual({
      model_type: "made",
      torch_dtype: "bfloat16",
    });
    expect(JSON.parse(await readFile(join(output, "tokenizer.json"), "utf8"))).toMatchObject({ of: "base" });
    expect(await readFile(join(output, "README.md"), "utf8")).toMatch(
      /^---\ntags:\n[\s\S]*fine-tuned from `base` \(`one`, `two`, `three`\)[\s\S]*Task arithmetic[\s\S]*- \{model: one\}/,
    );
    const found = await openCheckpoint(output);
    expect(found.tensors.get("model.position_ids")?.dtype).toBe("I64");
    for (const [name, base] of values.get("base") ?? []) {
      expect(found.tensors.get(name)).toMatchObject({ dtype: "BF16", shape: SHAPES[name] });
      const sum = base.map((value, i) =>
        ["one", "two", "three"].reduce(
          (total, model) => total + 0.4 * ((values.get(model)?.get(name)?.[i] ?? 0) - value),
          value,
        ),
      );
      // Eight bits of mantissa.
      expect(relativeError(await found.readFloat32(name), sum)).toBeLessThan(2 ** -8);
    }
    // Beside the output nothing is left.
    expect((await readdir(folder)).toSorted()).toEqual(["merge.yaml", "out"]);
  });

  it("splits into shards with their index, which hold the same tensors", async () => {
    const text = `${LIST}merge_method: ties\nparameters: {weight: 1, density: 0.4}\n`;
    await mergeText(text);
    await mergeText(text, { maxShardBytes: 4000 }, join(folder, "sharded"));
    const names = await readdir(join(folder, "sharded"));
    expect(names).toContain("model.safetensors.index.json");
    expect(names.filter((name) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(name)).length).toBeGreaterThan(2);
    const [whole, sharded] = [await openCheckpoint(join(folder, "out")), await openCheckpoint(join(folder, "sharded"))];
    for (const name of Object.keys(SHAPES))
      expect(await sharded.readFloat32(name)).toEqual(await whole.readFloat32(name));
  });

  it.each(["ties", "pcb", "consensus", "dare_ties", "lines", "breadcrumbs", "sce", "iso_c"])(
    "method %s is the registry's, over the whole model",
    async (method) => {
      await mergeText(`${LIST}method: ${method}\n`, { threads: 2 });
      const found = await openCheckpoint(join(folder, "out"));
      const own = mergeMethods.get(method);
      if (own === undefined) throw new Error(`no method ${method}`);
      // The files' order, which sums over the whole model are rounded in.
      const tensors = [...(await openCheckpoint(join(models, "base"))).tensors.keys()]
        .filter((name) => name in SHAPES)
        .map((name) => ({ name, shape: SHAPES[name] ?? [], size: size(SHAPES[name] ?? []) }));
      const tasks = ["one", "two", "three"];
      const source = {
        tasks,
        tensors,
        read: async (tensor: (typeof tensors)[number], from: number, to: number) => {
          const baseN = (values.get("base")?.get(tensor.name) ?? new Float32Array()).slice(from, to);
          const taskVectors = tasks.map((task) =>
            (values.get(task)?.get(tensor.name) ?? new Float32Array())
              .slice(from, to)
              .map((value, i) => value - (baseN[i] ?? 0)),
          );
          return { tensor, from, baseN, taskVectors };
        },
        readExpert: async ({ name }: (typeof tensors)[number], task: number) =>
          (values.get(tasks[task] ?? "")?.get(name) ?? new Float32Array()).slice(),
      };
      const merge = await own.prepare({ source, seed: 0, pieceElements: 1000 }, {});
      for (const tensor of tensors)
        expect(
          relativeError(await found.readFloat32(tensor.name), await merge(await source.read(tensor, 0, tensor.size))),
          tensor.name,
        ).toBeLessThan(1e-6);
    },
  );

  it.each([278_000, 293_000, 305_000])("puts every piece of a tensor of %i elements in its place", async (length) => {
    // Places that were computed as parts of the whole would not be integers here, and Node writes such pieces anywhere.
    const made = randomArray(length, 1, -1, 1);
    for (const name of ["one", "two"]) {
      await mkdir(join(folder, name));
      const tensor = { name: "weight", shape: [length], dtype: "F32", data: made };
      await writeSafetensors(join(folder, name, "model.safetensors"), [tensor]);
    }
    const list = `models:\n  - {model: ${join(folder, "one")}}\n  - {model: ${join(folder, "two")}}\n`;
    await mergeText(`${list}merge_method: linear\nparameters: {weight: 1}\ndtype: bfloat16\n`);
    expect(await (await openCheckpoint(join(folder, "out"))).readFloat32("weight")).toEqual(
      decodeBfloat16(encodeBfloat16(made)),
    );
  });

  it("drops elements alike in every start, and by another seed others", async () => {
    const text = `${LIST}merge_method: dare_linear\nparameters: {weight: 0.5, density: 0.3}\n`;
    await mergeText(text);
    await mergeText(text, { threads: 1 }, join(folder, "again"));
    await mergeText(`${text}seed: 1\n`, {}, join(folder, "other"));
    const read = async (name: string) => (await openCheckpoint(join(folder, name))).readFloat32("lm_head.weight");
    const [first, again, other] = [await read("out"), await read("again"), await read("other")];
    expect(again).toEqual(first);
    expect(relativeError(other, first)).toBeGreaterThan(1e-3);
    // What is kept of a task vector has its L1 norm.
    const base = values.get("base")?.get("lm_head.weight") ?? new Float32Array();
    const kept = first.filter((value, i) => value !== base[i]).length / first.length;
    expect(kept).toBeGreaterThan(1 - 0.7 ** 3 - 0.01);
    expect(kept).toBeLessThan(1 - 0.7 ** 3 + 0.01);
  });
});

describe("a merge that was stopped", () => {
  const text = `${LIST}merge_method: ties\nparameters: {weight: 1, density: 0.4}\n`;

  it("goes on with what is there, and ends with the same bytes", async () => {
    await mergeText(text, {}, join(folder, "whole"));
    const controller = new AbortController();
    const stopped = await mergeText(text, {
      threads: 1,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    expect(stopped.reason).toBe("interrupted");
    expect(await readdir(folder)).toContain("out.partial");
    expect(await readdir(folder)).not.toContain("out");
    const lines: string[] = [];
    const result = await mergeText(text, { log: (line) => lines.push(line) });
    expect(result.reason).toBe("finished");
    expect(result.writtenBytes).toBeLessThan((await stat(join(folder, "out", "model.safetensors"))).size);
    expect(lines.join()).toMatch(/goes on with .*out\.partial: [1-5] of 6 tensors/);
    const bytes = (name: string) => readFile(join(folder, name, "model.safetensors"));
    expect((await bytes("out")).equals(await bytes("whole"))).toBe(true);
    expect(await readdir(folder)).not.toContain("out.partial");
  });

  it("is not mixed with another merge", async () => {
    const controller = new AbortController();
    await mergeText(text, { threads: 1, signal: controller.signal, onProgress: () => controller.abort() });
    await expect(mergeText(text.replace("0.4", "0.5"))).rejects.toThrow(
      /out\.partial: expected the unfinished result of this merge, found one of other models or settings\. Delete it/,
    );
    await rm(join(folder, "out.partial"), { recursive: true });
    expect((await mergeText(text.replace("0.4", "0.5"))).reason).toBe("finished");
  });

  it("replaces an output only when asked", async () => {
    await mergeText(text);
    await expect(mergeText(text)).rejects.toThrow(/out: expected a new or empty folder .* found 7 entries/);
    expect((await mergeText(text, { overwrite: true })).reason).toBe("finished");
    await writeFile(join(folder, "out", "notes.txt"), "mine");
    await expect(mergeText(text, { overwrite: true })).rejects.toThrow(
      /found others: notes\.txt\. Nothing was removed/,
    );
    await rm(join(folder, "out", "notes.txt"));
    // As versions without a manifest left it: known by its card and names; another card, or one file more, and it is nobody's.
    await rm(join(folder, "out", ".adamerge-files.json"));
    // Their cards had the file as it is.
    const today = await readFile(join(folder, "out", "README.md"), "utf8");
    const file = (await readFile(join(folder, "out", "merge.yaml"), "utf8")).trimEnd();
    const card = today.replace(/```yaml[\s\S]*```/, `\`\`\`yaml\n${file}\n\`\`\``);
    await writeFile(join(folder, "out", "README.md"), card);
    await writeFile(join(folder, "out", "notes.txt"), "mine");
    await expect(mergeText(text, { overwrite: true })).rejects.toThrow("found others: notes.txt.");
    await rm(join(folder, "out", "notes.txt"));
    await writeFile(join(folder, "out", "README.md"), card.replaceAll("adamerge", "hand"));
    await expect(mergeText(text, { overwrite: true })).rejects.toThrow("found others: README.md, config.json,");
    await writeFile(join(folder, "out", "README.md"), card);
    expect((await mergeText(text, { overwrite: true })).reason).toBe("finished");
    expect((await readdir(folder)).toSorted()).toEqual(["merge.yaml", "out"]);
  });

  it("writes into nothing that it reads, and over nothing in the place of its unfinished result", async () => {
    const into = (output: string) => mergeText(text, { overwrite: true }, output);
    await expect(into(folder)).rejects.toThrow("holds the merge file");
    await expect(into(models)).rejects.toThrow("holds the model one");
    await expect(into(join(models, "one"))).rejects.toThrow("is the model one");
    await expect(into(join(models, "base", "out"))).rejects.toThrow("lies in the model base");
    await expect(into(join(folder, "merge.yaml"))).rejects.toThrow("is the merge file");
    const partial = join(folder, "out.partial");
    await symlink(models, partial);
    await expect(into(join(folder, "out"))).rejects.toThrow(
      /out\.partial: expected a place apart .* holds the model one/,
    );
    await rm(partial);
    await writeFile(partial, "mine");
    await expect(into(join(folder, "out"))).rejects.toThrow(
      /expected the folder of the unfinished result, or nothing, found a file/,
    );
    await rm(partial);
    await mkdir(partial);
    await writeFile(join(partial, "model.safetensors"), "mine");
    await expect(into(join(folder, "out"))).rejects.toThrow(
      /out\.partial: expected only the unfinished result of a merge, found model\.safetensors\. Move that away/,
    );
    expect(await readFile(join(partial, "model.safetensors"), "utf8")).toBe("mine");
    expect((await readdir(models)).toSorted()).toEqual(["base", "one", "three", "two"]);
  });
});

describe("mistakes are named before anything is written", () => {
  const rows: readonly (readonly [string, string, RegExp])[] = [
    [
      "unknown method",
      `${LIST}merge_method: tise\n`,
      /merge_method: expected one of .*, found tise; did you mean ties\?/,
    ],
    ["method of the registry only", `${LIST}merge_method: pcb\n`, /found pcb.*`method: pcb` is its paper's definition/],
    ["no method", LIST, /expected one of `merge_method` and `method`/],
    [
      "unknown key",
      `${LIST}merge_method: ties\nbase_modle: x\n`,
      /unknown key `base_modle`; did you mean base_model\?/,
    ],
    [
      "unknown setting",
      `${LIST}merge_method: ties\nparameters: {wieght: 1}\n`,
      /merge\.yaml:7: parameters: unknown setting "wieght" of ties, .*did you mean weight\?/,
    ],
    [
      "missing weight",
      `${LIST}merge_method: ties\n`,
      /models: one: weight: .*expected number.* for tensor .*, found none/,
    ],
    ["density above 1", `${LIST}merge_method: ties\nparameters: {weight: 1, density: 3}\n`, /density: .* found 3/],
    [
      "no base",
      `${LIST.replace(/base_model.*/, "")}merge_method: ties\nparameters: {weight: 1}\n`,
      /base_model: expected the model that the others come from, found none; ties needs it/,
    ],
    [
      "slerp of three",
      `${LIST}merge_method: slerp\nparameters: {t: 0.5}\n`,
      /models: expected 1 besides the base for slerp, found 3/,
    ],
    [
      "slices",
      "slices: []\nmerge_method: passthrough\n",
      /merge\.yaml:2: merge_method: mergekit's passthrough is not done here/,
    ],
    [
      "union of tokenizers",
      `${LIST}merge_method: ties\ntokenizer_source: union\n`,
      /merge\.yaml:7: tokenizer_source: expected models with one vocabulary for union, found another one in model one/,
    ],
    [
      "missing model",
      `${LIST.replace("MODELS/two", "MODELS/tow")}merge_method: linear\nparameters: {weight: 1}\n`,
      /tow: expected a checkpoint folder/,
    ],
    [
      "a model twice",
      `${LIST.replace("MODELS/two", "MODELS/one")}merge_method: linear\nparameters: {weight: 1}\n`,
      /models: expected every model once, found .*one again/,
    ],
    ["per-task method", `${LIST}method: emr\n`, /emr makes a model for each task/],
    [
      "method that looks at examples",
      `${LIST}method: regmean\n`,
      /regmean looks at examples, which a merge file does not have/,
    ],
    [
      "wrong dtype",
      `${LIST}merge_method: ties\ndtype: int8\n`,
      /dtype: expected one of float32, float16, bfloat16, float64, found "int8"/,
    ],
  ];
  it.each(rows)("%s", async (_name, text, message) => {
    await expect(mergeText(text)).rejects.toThrow(message);
    expect(await readdir(folder)).toEqual(["merge.yaml"]);
  });

  it("another shape, another tensor, a value that is not finite", async () => {
    const one = new Map(values.get("one"));
    const broken = join(folder, "broken");
    const text = LIST.replace("MODELS/two", broken);
    const method = "merge_method: task_arithmetic\nparameters: {weight: 1}\n";
    one.set("model.layers.1.norm.bias", new Float32Array(11));
    await writeSafetensors(
      join(await fresh(broken), "model.safetensors"),
      [...one].map(([name, data]) => ({
        name,
        shape: name.endsWith("bias") ? [11] : (SHAPES[name] ?? []),
        dtype: "F32",
        data,
      })),
    );
    await expect(mergeText(text + method)).rejects.toThrow(
      /broken: tensor model\.layers\.1\.norm\.bias: expected shape \[12\], as in the base, found \[11\]/,
    );
    one.delete("model.layers.1.norm.bias");
    await writeModel(await fresh(broken), one);
    await expect(mergeText(text + method)).rejects.toThrow(
      /broken: expected a tensor model\.layers\.1\.norm\.bias in model broken/,
    );
    one.set("model.layers.1.norm.bias", new Float32Array(12).fill(Number.NaN, 7));
    await writeModel(await fresh(broken), one);
    await expect(mergeText(text + method)).rejects.toThrow(
      /tensor model\.layers\.1\.norm\.bias: expected finite numbers in model broken, found NaN at index 7/,
    );
    expect(await readdir(folder)).not.toContain("out");
  });

  it("a value too large for float16", async () => {
    const text = `${LIST}merge_method: task_arithmetic\nparameters: {weight: 3000000}\n`;
    await expect(mergeText(`${text}dtype: float16\n`)).rejects.toThrow(
      /tensor .*: expected merged values within F16, found -?\d+.* at index \d+\. Set out_dtype to bfloat16 or float32/,
    );
  });

  async function fresh(path: string): Promise<string> {
    await rm(path, { recursive: true, force: true });
    await cp(join(models, "base"), path, { recursive: true });
    return path;
  }
});

it("the file that ships merges the suite's experts", async () => {
  const file = await readMergeFile(join(ROOT, "configs", "merges", "mini8.yaml"));
  const { signal } = new AbortController();
  const options = { overwrite: false, signal, log: () => {}, onProgress: () => {} };
  expect((await mergeModels(file, join(folder, "mini8"), options)).reason).toBe("finished");
  const found = await openCheckpoint(join(folder, "mini8"));
  expect([...found.tensors.values()].every(({ dtype }) => dtype === "F16")).toBe(true);
});
