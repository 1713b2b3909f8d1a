/** What a merge of a suite saves: config and other files of the base byte for byte, every tensor of it, and what is said of the rest. */
import { execFileSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openCheckpoint, type StoredCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { type WritableTensor, writeSafetensors } from "../../../src/checkpoint/safetensors-writer.js";
import { readStoredBytes } from "../../../src/checkpoint/stored-tensor.js";
import { loadRunConfig } from "../../../src/config/load.js";
import { openHeadFile } from "../../../src/model/head-file.js";
import { mergeToDirectory } from "../../../src/run/coefficients/merge-to-directory.js";
import { listHeads } from "../../../src/run/heads/heads-folder.js";
import { ROOT } from "../../support/cli.js";
import { randomArray } from "../../support/random.js";

const CONFORMANCE = join(ROOT, "test", "conformance");
const CLIP = join(CONFORMANCE, "clip");
const CONFIGS = join(CONFORMANCE, "saved-configs");
const PROJECTION = "visual_projection.weight";
const isVision = (name: string) => name.startsWith("vision_model.") || name === PROJECTION;

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "saved-model-"));
  await mkdir(join(folder, "base"));
  await mkdir(join(folder, "data"));
  for (const name of ["model.safetensors", "config.json", "preprocessor_config.json"])
    await cp(join(CLIP, name), join(folder, "base", name));
  const head = { name: "weight", dtype: "F32", shape: [2, 16], data: randomArray(32, 1) };
  await writeSafetensors(join(folder, "head.safetensors"), [head]);
  const task = (name: string) =>
    `  - {name: ${name}, dataset: data, expert: ${name}, head: head.safetensors, classes: [zero, one]}\n`;
  await writeFile(
    join(folder, "suite.yaml"),
    `name: set\nbase: base\nlogit_scale: 10\ntasks:\n${task("a")}${task("b")}`,
  );
  await writeFile(join(folder, "c.yaml"), "extends: presets/quickstart\nsuite: .\n");
  const values = { granularity: "task-wise", tasks: ["a", "b"], groups: ["all"], values: [[0.5], [0.25]], groupOf: {} };
  await writeFile(join(folder, "coefficients.json"), JSON.stringify(values));
  await writeExpert("a", (name) => (isVision(name) ? name : undefined));
  await writeExpert("b", (name) => (isVision(name) ? name : undefined));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

/** The base's tensors that `rename` keeps, moved a little. */
async function writeExpert(task: string, rename: (name: string) => string | undefined): Promise<void> {
  const base = await openCheckpoint(join(CLIP, "model.safetensors"));
  const tensors: WritableTensor[] = [];
  for (const [index, [name, { shape }]] of [...base.tensors].entries()) {
    const own = rename(name);
    if (own === undefined) continue;
    const values = await base.readFloat32(name);
    const moves = randomArray(values.length, index + task.charCodeAt(0), -0.1, 0.1);
    tensors.push({ name: own, dtype: "F32", shape, data: values.map((value, i) => value + (moves[i] ?? 0)) });
  }
  await mkdir(join(folder, task), { recursive: true });
  await writeSafetensors(join(folder, task, "model.safetensors"), tensors);
}

async function merge(): Promise<{ output: string; lines: string[]; model: StoredCheckpoint }> {
  const presetsDir = join(ROOT, "configs", "presets");
  const { config } = await loadRunConfig(join(folder, "c.yaml"), ["granularity=task-wise"], {
    presetsDir,
    cwd: folder,
  });
  const output = join(folder, "out");
  const lines: string[] = [];
  const options = { cacheDir: join(folder, "cache"), log: (line: string) => lines.push(line) };
  await mergeToDirectory(config, join(folder, "coefficients.json"), output, options);
  return { output, lines, model: await openCheckpoint(output) };
}

/** As OpenAI's code and open_clip name and fuse them. */
async function inOpenClipLayout(base: StoredCheckpoint): Promise<WritableTensor[]> {
  const tensors = new Map<string, WritableTensor>();
  for (const [name, { shape }] of base.tensors) {
    const data = await base.readFloat32(name);
    const own = name
      .replace("vision_model.", "visual.")
      .replace("text_model.", "")
      .replace("embeddings.class_embedding", "class_embedding")
      .replace("embeddings.patch_embedding", "conv1")
      .replace("embeddings.token_embedding", "token_embedding")
      .replace("embeddings.position_embedding.weight", "positional_embedding")
      .replace("pre_layrnorm", "ln_pre")
      .replace("post_layernorm", "ln_post")
      .replace("final_layer_norm", "ln_final")
      .replace("encoder.layers", "transformer.resblocks")
      .replace("layer_norm", "ln_")
      .replace("self_attn.out_proj", "attn.out_proj")
      .replace("mlp.fc1", "mlp.c_fc")
      .replace("mlp.fc2", "mlp.c_proj")
      .replace("visual_projection.weight", "visual.proj")
      .replace("text_projection.weight", "text_projection")
      .replace(/self_attn\.[qkv]_proj\./, "attn.in_proj_");
    const [rows = 0, columns = 0] = shape;
    if (name.endsWith("_projection.weight")) {
      const turned = data.map((_, i) => data[(i % rows) * columns + Math.floor(i / rows)] ?? 0);
      tensors.set(own, { name: own, dtype: "F32", shape: [columns, rows], data: turned });
    } else if (own.includes("in_proj_")) {
      // Names are sorted in the file: k, q, v.
      const fused = tensors.get(own)?.data ?? new Float32Array(3 * data.length);
      if (!(fused instanceof Float32Array)) throw new Error(own);
      fused.set(data, "qkv".indexOf(/self_attn\.([qkv])/.exec(name)?.[1] ?? "q") * data.length);
      tensors.set(own, { name: own, dtype: "F32", shape: [3 * rows, ...shape.slice(1)], data: fused });
    } else tensors.set(own, { name: own, dtype: "F32", shape, data });
  }
  return [...tensors.values()];
}

const read = (...parts: string[]) => readFile(join(folder, ...parts));

/** The base in float16 with a change of its config. */
async function rewriteBase(
  change: (tensor: WritableTensor) => WritableTensor | undefined,
  config: (text: string) => string = (text) => text,
): Promise<void> {
  const base = await openCheckpoint(join(CLIP, "model.safetensors"));
  const tensors: WritableTensor[] = [];
  for (const [name, { shape }] of base.tensors) {
    const changed = change({ name, dtype: "F32", shape, data: await base.readFloat32(name) });
    if (changed !== undefined) tensors.push(changed);
  }
  await writeSafetensors(join(folder, "base", "model.safetensors"), tensors);
  const path = join(folder, "base", "config.json");
  await writeFile(path, config(await readFile(path, "utf8")));
}

describe("a whole CLIP model as base", () => {
  it.each(["transformers-4", "transformers-5"])(
    "is saved whole, with the files of %s byte for byte",
    async (version) => {
      await cp(join(CONFIGS, version, "clip"), join(folder, "base"), { recursive: true });
      const { output, model } = await merge();
      for (const name of ["config.json", "preprocessor_config.json"])
        expect(await readFile(join(output, name))).toEqual(await read("base", name));
      const base = await openCheckpoint(CLIP);
      expect([...model.tensors.keys()].toSorted()).toEqual([...base.tensors.keys()].toSorted());
      for (const [name, tensor] of base.tensors) {
        const own = model.tensors.get(name);
        if (own === undefined) throw new Error(name);
        const isSame = Buffer.from(await readStoredBytes(own)).equals(await readStoredBytes(tensor));
        expect([name, isSame]).toEqual([name, !isVision(name)]);
      }
    },
  );

  it("in open_clip's layout is saved by the names of transformers, whole", async () => {
    const base = await openCheckpoint(CLIP);
    await writeSafetensors(join(folder, "base", "model.safetensors"), await inOpenClipLayout(base));
    const { model, lines } = await merge();
    expect(lines.filter((line) => line.includes("text tower"))).toEqual([]);
    expect([...model.tensors.keys()].toSorted()).toEqual([...base.tensors.keys()].toSorted());
    for (const [name, { shape }] of base.tensors) {
      if (isVision(name)) continue;
      expect(model.tensors.get(name)?.shape).toEqual(shape);
      expect(await model.readFloat32(name)).toEqual(await base.readFloat32(name));
    }
  });

  it("keeps every byte of an odd config, and says the type of what is in the file", async () => {
    const odd = (text: string) =>
      text
        .replace('"dtype": "float32"', '"dtype" :  "float16", "nan": NaN, "big": 12345678901234567890, "one": 1.0')
        .replace('"vision_config": {', '"vision_config": {"torch_dtype": "float16",')
        .replaceAll("\n", "\r\n");
    await rewriteBase((tensor) => ({ ...tensor, dtype: "F16" }), odd);
    const { output, model } = await merge();
    const before = (await read("base", "config.json")).toString();
    expect(await readFile(join(output, "config.json"), "utf8")).toBe(before.replaceAll('"float16"', '"float32"'));
    // Copied as they are; all else is merged in float32.
    expect(model.tensors.get("logit_scale")?.dtype).toBe("F16");
    expect(model.tensors.get(PROJECTION)?.dtype).toBe("F32");
  });

  it("without a complete text tower is saved as a vision tower with projection, and says so", async () => {
    const { length: kept } = "text_model.encoder.layers.0";
    await rewriteBase((tensor) => (tensor.name.slice(0, kept) === "text_model.encoder.layers.0" ? undefined : tensor));
    const { output, lines, model } = await merge();
    expect(lines.join("\n")).toMatch(
      /notice: .*base: expected a whole CLIP model, as .*config\.json says, found 16 of the 38 tensors of the text tower missing \(text_model\.encoder\.layers\.0\..*\); the merged model is saved as a vision tower with projection/,
    );
    expect([...model.tensors.keys()].every(isVision)).toBe(true);
    const text = await readFile(join(output, "config.json"), "utf8");
    expect(JSON.parse(text)).toMatchObject({
      ...{ architectures: ["CLIPVisionModelWithProjection"], model_type: "clip_vision_model" },
      ...{ hidden_size: 48, projection_dim: 16, dtype: "float32" },
    });
    // The tower's own text: floats stay floats.
    expect(text).toContain('"initializer_factor": 1.0,');
    expect(text.startsWith('{\n  "attention_dropout": 0.0,')).toBe(true);
  });
});

describe("a vision tower as base", () => {
  it.each(["transformers-4", "transformers-5"])("is saved as it is, with the files of %s", async (version) => {
    await rewriteBase((tensor) => (isVision(tensor.name) ? tensor : undefined));
    await cp(join(CONFIGS, version, "vision"), join(folder, "base"), { recursive: true });
    const { output, model } = await merge();
    for (const name of ["config.json", "preprocessor_config.json"])
      expect(await readFile(join(output, name))).toEqual(await read("base", name));
    expect([...model.tensors.keys()].every(isVision)).toBe(true);
  });

  it("has its preprocessing from processor_config.json, where transformers 5 saved a CLIPProcessor", async () => {
    const text = `{"image_processor": ${await read("base", "preprocessor_config.json")}, "processor_class": "CLIPProcessor"}`;
    await writeFile(join(folder, "base", "processor_config.json"), text);
    await rm(join(folder, "base", "preprocessor_config.json"));
    const { output } = await merge();
    expect(await readFile(join(output, "processor_config.json"), "utf8")).toBe(text);
    expect(await readdir(output)).not.toContain("preprocessor_config.json");
  });

  it("leaves a text tower that its config does not know, and says so", async () => {
    await cp(join(CONFIGS, "transformers-5", "vision"), join(folder, "base"), { recursive: true });
    const { lines, model } = await merge();
    expect(lines.join("\n")).toMatch(
      /notice: .*base: its text tower is not saved: .*config\.json is that of a vision tower/,
    );
    expect([...model.tensors.keys()].every(isVision)).toBe(true);
  });
});

it("experts without the projection count as having the base's", async () => {
  // As transformers 5 saves CLIPVisionModel.
  await writeExpert("b", (name) => (name.startsWith("vision_model.") ? name.slice("vision_model.".length) : undefined));
  const { lines, model } = await merge();
  expect(lines.join("\n")).toContain(
    "notice: the experts of b have no visual_projection.weight: they count as having the base's",
  );
  const base = await (await openCheckpoint(CLIP)).readFloat32(PROJECTION);
  const a = await (await openCheckpoint(join(folder, "a"))).readFloat32(PROJECTION);
  const merged = await model.readFloat32(PROJECTION);
  const expected = base.map((value, i) => value + 0.5 * Math.fround((a[i] ?? 0) - value));
  expect(merged).toEqual(expected);
  await writeExpert("b", (name) => (isVision(name) && !name.endsWith("fc1.bias") ? name : undefined));
  await rm(join(folder, "out"), { recursive: true });
  await expect(merge()).rejects.toThrow(/tensor ".*fc1\.bias": expected shape \[64\], found no such tensor/);
});

describe("the heads of its tasks", () => {
  it("lie in heads/ with all that a prediction needs, and are heads of a suite again", async () => {
    const { output } = await merge();
    const heads = await listHeads(output);
    expect([...heads.keys()]).toEqual(["a", "b"]);
    const head = await openHeadFile(heads.get("a") ?? "");
    expect(head).toMatchObject({
      ...{ rows: 2, featureSize: 16, classes: ["zero", "one"], maxLength: undefined },
      features: { pooling: "projection", normalized: true },
    });
    expect(await head.read("a")).toEqual({
      ...{ task: "a", classes: 2, featureSize: 16, logitScale: 10 },
      ...{ weight: randomArray(32, 1), bias: new Float32Array(2) },
    });
    // Its scale is in the file now.
    const suite = (await read("suite.yaml"))
      .toString("utf8")
      .replaceAll("head.safetensors", "first/heads/a.safetensors");
    await rename(output, join(folder, "first"));
    await writeFile(join(folder, "suite.yaml"), suite.replace("logit_scale: 10\n", ""));
    await merge();
    expect(await read("out", "heads", "b.safetensors")).toEqual(await read("first", "heads", "a.safetensors"));
    await writeFile(join(folder, "suite.yaml"), suite.replaceAll("[zero, one]", "[one, zero]"));
    await rm(join(folder, "out"), { recursive: true });
    await expect(merge()).rejects.toThrow(
      /a\.safetensors: expected the classes of task a in their order, .*found "zero"/,
    );
    await expect(readdir(join(folder, "out"))).rejects.toThrow("ENOENT");
  });
});

describe("other files of the base", () => {
  const put = async (name: string, content = name) => {
    await mkdir(join(folder, "base", name, ".."), { recursive: true });
    await writeFile(join(folder, "base", name), content);
  };

  it("come along byte for byte, and what does not is said", async () => {
    const kept = [
      "tokenizer.json",
      "LICENSE",
      "1_Pooling/config.json",
      "additional_chat_templates/tool.jinja",
      "x/modeling.py",
    ];
    for (const name of kept) await put(name);
    for (const name of ["README.md", "pytorch_model.bin", "onnx/model.onnx", "optimizer.pt", ".git/config"])
      await put(name);
    const { output, lines } = await merge();
    for (const name of kept) expect(await readFile(join(output, name), "utf8")).toBe(name);
    expect((await readdir(output)).filter((name) => !name.startsWith(".")).toSorted()).toEqual(
      ["1_Pooling", "LICENSE", "README.md", "additional_chat_templates", "config.json", "heads"].concat([
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
        "x",
      ]),
    );
    const said = lines.join("\n");
    expect(said).toMatch(
      /notice: not copied from .*base: pytorch_model\.bin \(other weights\); optimizer\.pt \(of the training\); onnx\/ \(other formats\)\n/,
    );
    expect(said).toMatch(/notice: x\/modeling\.py of .*base: code that comes with the model is copied/);
  });

  it.each([
    [
      "tokenizer.json",
      /base\/tokenizer\.json: expected a file of the model inside the folder, found a link to .*secret\. Copy/,
    ],
    ["config.json", /base\/config\.json: expected a config\.json inside the folder, found a link to .*secret\. Copy/],
    ["preprocessor_config.json", /base\/preprocessor_config\.json: expected a file of the model inside the folder/],
  ])("are not followed out of the folder: %s", async (name, message) => {
    const secret = join(folder, "secret");
    await writeFile(secret, name === "tokenizer.json" ? "x" : await read("base", name));
    await rm(join(folder, "base", name), { force: true });
    await symlink(secret, join(folder, "base", name));
    await expect(merge()).rejects.toThrow(message);
    await expect(readdir(join(folder, "out"))).rejects.toThrow("ENOENT");
  });

  it.skipIf(process.platform === "win32")("that are pipes are said, not waited for", async () => {
    execFileSync("mkfifo", [join(folder, "base", "vocab.txt")]);
    const { lines } = await merge();
    expect(lines.join("\n")).toMatch(/not copied from .*base: vocab\.txt \(devices, pipes and sockets\)/);
  });
});
