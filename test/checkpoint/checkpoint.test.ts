import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openCheckpoint, saveCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { readSafetensorsHeader, writeSafetensors } from "../../src/checkpoint/safetensors.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "checkpoint-"));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

const SPECS = ["a", "b", "c"].map((name) => ({ name, dtype: "F32", shape: [2, 2] }));
const valuesOf = (name: string) => Float32Array.of(name.charCodeAt(0), 1, 2, 3);
const save = (path: string, more: object = {}) =>
  saveCheckpoint(path, { config: { hidden_size: 2 }, specs: SPECS, data: valuesOf, ...more });

describe("a saved folder", () => {
  it("opens again, with its config and metadata", async () => {
    const path = join(folder, "model");
    await save(path, { preprocessor: { size: 32 }, readme: "# card\n" });
    expect((await readdir(path)).toSorted()).toEqual([
      ".adamerge-files.json",
      "README.md",
      "config.json",
      "model.safetensors",
      "preprocessor_config.json",
    ]);
    const checkpoint = await openCheckpoint(path);
    expect(checkpoint.config).toEqual({ hidden_size: 2 });
    expect([...checkpoint.tensors.keys()]).toEqual(["a", "b", "c"]);
    expect(await checkpoint.readFloat32("b")).toEqual(valuesOf("b"));
    expect([...(await readSafetensorsHeader(join(path, "model.safetensors"))).metadata]).toEqual([["format", "pt"]]);
    expect((await openCheckpoint(join(path, "model.safetensors"))).config).toEqual({ hidden_size: 2 });
  });

  it("is not written over unless asked for, and not touched by a failure", async () => {
    const path = join(folder, "model");
    await save(path);
    await expect(save(path)).rejects.toThrow(/expected a new or empty folder, found 3 entries/);
    const fails = () => {
      throw new Error("no values");
    };
    await expect(save(path, { data: fails, replace: true })).rejects.toThrow("no values");
    await expect(save(join(folder, "other"), { data: fails })).rejects.toThrow("no values");
    expect(await readdir(folder)).toEqual(["model"]);
    await save(path, { config: { hidden_size: 3 }, replace: true });
    expect((await openCheckpoint(path)).config).toEqual({ hidden_size: 3 });
    expect(await readdir(folder)).toEqual(["model"]);
  });

  it("knows equal tensors by their hash", async () => {
    await save(join(folder, "one"));
    await save(join(folder, "two"), { maxShardBytes: 20 });
    const [one, two] = await Promise.all([openCheckpoint(join(folder, "one")), openCheckpoint(join(folder, "two"))]);
    const hashes = await one.tensorSha256s(["b", "a"]);
    expect(await two.tensorSha256s(["a", "b"])).toEqual(hashes.toReversed());
    expect(new Set(hashes).size).toBe(2);
    expect(await one.tensorSha256s(["a"])).toEqual(hashes.slice(1));
  });
});

describe("shards", () => {
  const names = [
    "model-00001-of-00003.safetensors",
    "model-00002-of-00003.safetensors",
    "model-00003-of-00003.safetensors",
  ];
  let path = "";
  beforeEach(async () => {
    path = join(folder, "model");
    await save(path, { maxShardBytes: 20 });
  });

  const editIndex = async (edit: (text: string) => string) => {
    const file = join(path, "model.safetensors.index.json");
    await writeFile(file, edit(await readFile(file, "utf8")));
  };

  it("are written by size and opened as one checkpoint", async () => {
    expect((await readdir(path)).toSorted()).toEqual([
      ".adamerge-files.json",
      "config.json",
      ...names,
      "model.safetensors.index.json",
    ]);
    const index = JSON.parse(await readFile(join(path, "model.safetensors.index.json"), "utf8"));
    expect(index).toEqual({ metadata: { total_size: 48 }, weight_map: { a: names[0], b: names[1], c: names[2] } });
    const checkpoint = await openCheckpoint(path);
    for (const { name } of SPECS) expect(await checkpoint.readFloat32(name)).toEqual(valuesOf(name));
  });

  it("may have any names that the index gives, of either format", async () => {
    const own = ["language.safetensors", "Ein Teil (2).bin", "model-1-of-2.safetensors"];
    for (const [at, name] of own.entries()) await rename(join(path, names[at] ?? ""), join(path, name));
    await editIndex((text) => names.reduce((edited, name, at) => edited.replaceAll(name, own[at] ?? ""), text));
    const checkpoint = await openCheckpoint(path);
    for (const { name } of SPECS) expect(await checkpoint.readFloat32(name)).toEqual(valuesOf(name));
  });

  it.each([
    ["a subfolder", (text: string) => text.replace("model-00001", "part/model-00001"), /found "part\/model-00001/],
    ["a hidden file", (text: string) => text.replace("model-00001", ".model-00001"), /found "\.model-00001/],
    ["a line break", (text: string) => text.replace("model-00001", "x\\nmodel-00001"), /found "x\\nmodel-00001/],
    ["a drive", (text: string) => text.replace("model-00001", "C:model-00001"), /found "C:model-00001/],
    ["an empty name", (text: string) => text.replace(names[0] ?? "", ""), /found ""/],
    [
      "a path",
      (text: string) => text.replace("model-00001", "../model-00001"),
      /expected names of shards in the folder of the index, .*found "\.\.\/model-00001/,
    ],
    [
      "an absolute path",
      (text: string) => text.replace("model-00001", "/tmp/model-00001"),
      /expected names of shards in the folder/,
    ],
    [
      "a backslash",
      (text: string) => text.replace("model-00001", "x\\\\model-00001"),
      /expected names of shards in the folder/,
    ],
    [
      "a key twice",
      (text: string) => text.replace('"b"', '"a"'),
      /expected every key once in weight_map, found "a" twice/,
    ],
    [
      "a number for a shard",
      (text: string) => text.replace(`"${names[0]}"`, "1"),
      /expected the shard of "a" as a string/,
    ],
    ["no weight_map", () => "{}", /expected a weight_map with tensors, found none/],
    [
      "another count",
      (text: string) => text.replaceAll("-of-00003", "-of-00004"),
      /expected the shards 1 to N of N, each once, found 3/,
    ],
    [
      "an unlisted tensor",
      (text: string) => text.replace('"b"', '"x"'),
      /expected tensor "b" in no shard, as weight_map says, found it in model-00002/,
    ],
    [
      "a tensor in the wrong shard",
      (text: string) =>
        text
          .replace(names[0] ?? "", "@")
          .replace(names[1] ?? "", names[0] ?? "")
          .replace("@", names[1] ?? ""),
      /expected tensor "a" in model-00002-of-00003.safetensors, as weight_map says, found it in model-00001/,
    ],
    [
      "a listed tensor that is nowhere",
      (text: string) => text.replace('"b"', `"z": "${names[0]}", "b"`),
      /model-00001-of-00003.safetensors: expected tensor "z", as model.safetensors.index.json says, found none/,
    ],
  ])("with %s in the index are refused", async (_, edit, message) => {
    await editIndex(edit);
    await expect(openCheckpoint(path)).rejects.toThrow(message);
  });

  it("that are missing or link out of the folder are refused", async () => {
    const outside = join(folder, "outside.safetensors");
    await rename(join(path, names[0] ?? ""), outside);
    await expect(openCheckpoint(path)).rejects.toThrow(/expected this shard, .* found no such file/);
    await symlink(outside, join(path, names[0] ?? ""));
    await expect(openCheckpoint(path)).rejects.toThrow(/expected a shard inside the folder, found a link to/);
  });

  it("may link into the hub cache's blobs", async () => {
    const snapshot = join(folder, "hub", "snapshots", "abc");
    await mkdir(join(folder, "hub", "blobs"), { recursive: true });
    await mkdir(snapshot, { recursive: true });
    for (const name of await readdir(path)) {
      await rename(join(path, name), join(folder, "hub", "blobs", name));
      await symlink(join("..", "..", "blobs", name), join(snapshot, name));
    }
    expect((await openCheckpoint(snapshot)).tensors.size).toBe(3);
  });
});

describe("what is no checkpoint", () => {
  it.each([
    [
      "no PyTorch file",
      "pytorch_model.bin",
      /pytorch_model.bin: not a valid safetensors file: expected at least 8 bytes/,
    ],
    ["a PyTorch file of another name", "finetuned.pt", /found finetuned.pt. Give the path of the file you mean/],
    ["an adapter", "adapter_config.json", /expected a full checkpoint, found a LoRA adapter/],
    [
      "other safetensors",
      "vae.safetensors",
      /expected model.safetensors, pytorch_model.bin or the index .* found vae.safetensors. Give the path/,
    ],
    ["something else", "notes.txt", /found no model in it \(1 other entry\). Check the path/],
  ])("%s in a folder is named", async (_, name, message) => {
    await writeFile(join(folder, name), "x");
    await expect(openCheckpoint(folder)).rejects.toThrow(message);
  });

  it("a missing path and a broken config.json are named", async () => {
    await expect(openCheckpoint(join(folder, "none"))).rejects.toThrow(
      /expected a checkpoint folder, a .safetensors or a PyTorch file/,
    );
    await writeSafetensors(join(folder, "model.safetensors"), []);
    expect((await openCheckpoint(folder)).config).toBeUndefined();
    await writeFile(join(folder, "config.json"), "{");
    await expect(openCheckpoint(folder)).rejects.toThrow(
      /config\.json: expected JSON with a key in double quotes at line 1, column 2, found the end/,
    );
  });
});
