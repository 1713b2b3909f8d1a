/** PyTorch files against torch.load itself: test/golden/make-torch.py wrote the files, and what torch reads from them. */
import { copyFile, cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Checkpoint, openCheckpoint, type StoredCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { locationOf, openElementReader } from "../../../src/checkpoint/element-reader.js";
import { elementBytes, isFloatDtype } from "../../../src/checkpoint/stored-tensor.js";
import { pytorchNotice } from "../../../src/checkpoint/torch/notice.js";

const GOLDEN = join(import.meta.dirname, "..", "..", "golden", "torch");
let expected: StoredCheckpoint;
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "torch-"));
  expected = await openCheckpoint(join(GOLDEN, "expected.safetensors"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Same names, dtypes, shapes and bytes, and the same values where they are floats. */
async function expectSame(found: Checkpoint, name: string): Promise<void> {
  const wanted = [...expected.tensors.keys()].filter((key) => key.startsWith(`${name}/`));
  expect(wanted.length).toBeGreaterThan(3);
  expect([...found.tensors.keys()].toSorted()).toEqual(wanted.map((key) => key.slice(name.length + 1)).toSorted());
  for (const key of wanted) {
    const own = key.slice(name.length + 1);
    const [is, was] = [found.tensors.get(own), expected.tensors.get(key)];
    expect([is?.dtype, is?.shape], key).toEqual([was?.dtype, was?.shape]);
    expect(await found.tensorSha256s([own]), key).toEqual(await expected.tensorSha256s([key]));
    if (isFloatDtype(was?.dtype ?? ""))
      expect(await found.readFloat32(own), key).toEqual(await expected.readFloat32(key));
  }
}

describe("what torch.save writes is read as torch.load reads it", () => {
  it.each(["dtypes", "module", "parameters", "parallel", "training", "views"])("%s.pt", async (name) => {
    const found = await openCheckpoint(join(GOLDEN, `${name}.pt`));
    await expectSame(found, name);
    expect(found.format).toBe("pytorch");
  });

  it("views are read in pieces from any element on, as merges read them", async () => {
    const found = await openCheckpoint(join(GOLDEN, "views.pt"));
    const reader = openElementReader();
    for (const [name, stored] of found.tensors) {
      const whole = expected.tensors.get(`views/${name}`);
      const bytes = new Uint8Array(elementBytes(stored));
      for (let at = 0; at < bytes.length; at += 5)
        reader.readBytes(locationOf(stored), at, bytes.subarray(at, Math.min(bytes.length, at + 5)));
      const inOrder = new Uint8Array(bytes.length);
      if (whole !== undefined) reader.readBytes(locationOf(whole), 0, inOrder);
      expect(bytes, name).toEqual(inOrder);
      if (!isFloatDtype(stored.dtype)) continue;
      const values = await found.readFloat32(name);
      const from = Math.min(2, values.length);
      const rest = new Float32Array(values.length - from);
      reader.readFloat32(locationOf(stored), from, rest);
      expect(rest, name).toEqual(values.subarray(from));
    }
    reader.close();
  });

  it("tensors in row-major order stay ranges of the file", async () => {
    const strided = [...(await openCheckpoint(join(GOLDEN, "views.pt"))).tensors.values()].filter(
      ({ strides }) => strides !== undefined,
    );
    expect(strided.map(({ name }) => name).toSorted()).toEqual(
      [
        ...["column", "columns", "every_other", "expanded", "half_transposed", "long_transposed", "one_row"],
        ...["overlapping", "permuted", "transposed"],
      ].toSorted(),
    );
  });
});

describe("in a Hugging Face folder", () => {
  it("pytorch_model.bin is read, with its config", async () => {
    await copyFile(join(GOLDEN, "module.pt"), join(folder, "pytorch_model.bin"));
    await writeFile(join(folder, "config.json"), '{"hidden_size": 2}');
    const found = await openCheckpoint(folder);
    await expectSame(found, "module");
    expect(found.config).toEqual({ hidden_size: 2 });
    expect(pytorchNotice([found])).toBe(
      `${folder} is a PyTorch file: its tensors are read, nothing in it is executed. Prefer safetensors where there is a choice`,
    );
  });

  it("model.safetensors goes before it", async () => {
    await copyFile(join(GOLDEN, "expected.safetensors"), join(folder, "model.safetensors"));
    const found = await openCheckpoint(folder);
    expect([...found.tensors.keys()]).toEqual([...expected.tensors.keys()]);
    expect(pytorchNotice([found])).toBeUndefined();
    await rm(join(folder, "model.safetensors"));
  });

  it("shards are read by their index, and must be complete", async () => {
    await expectSame(await openCheckpoint(join(GOLDEN, "sharded")), "module");
    const partial = join(folder, "partial");
    await cp(join(GOLDEN, "sharded"), partial, { recursive: true });
    await rm(join(partial, "pytorch_model-00002-of-00002.bin"));
    await expect(openCheckpoint(partial)).rejects.toThrow(
      /pytorch_model-00002-of-00002.bin: expected this shard, as pytorch_model.bin.index.json says, found no such file/,
    );
    const index = join(partial, "pytorch_model.bin.index.json");
    await writeFile(index, '{"weight_map": {"a": "model-00001-of-00001.safetensors"}}');
    await expect(openCheckpoint(partial)).rejects.toThrow(
      /model-00001-of-00001.safetensors: expected this shard, as pytorch_model.bin.index.json says, found no such file/,
    );
  });
});

describe("files of other kinds are refused by their kind", () => {
  const CONVERTER = "scripts/convert/torch-modules.py";
  it.each([
    [
      "whole-module.pt",
      /the Python class or function "__main__.Small": a pickled whole module, or other code. Convert/,
    ],
    ["whole-module.pt", CONVERTER],
    ["layer.pt", /the Python class or function "torch.nn.modules.linear.Linear": a pickled whole module/],
    ["legacy.pt", /a file of the format that PyTorch wrote before version 1.6/],
    ["legacy.pt", CONVERTER],
    ["tensor.pt", /expected a state dict .* found a tensor. Save model.state_dict\(\)/],
    ["optimizer.pt", /found the state of an optimizer/],
    ["numpy.pt", /the Python class or function "numpy._core.multiarray._reconstruct"/],
    ["mixed.pt", /found 3 as "epoch" among the keys "weight", "epoch"/],
    ["protocol-4.pt", /expected pickle protocol 2, .* found protocol 4. Save it again without pickle_protocol/],
    ["package.pt", /expected a state dict, found a package of models with their code \(torch.package\)/],
    ["exported.pt2", /expected a state dict, found an exported program \(torch.export\). Save model.state_dict\(\)/],
    [
      "quantised.pt",
      /a TorchScript program of modules and tensors, found .* "torch._utils._rebuild_qtensor", as quantised/,
    ],
    [
      "restores-itself.pt",
      /"the program" of class "__torch__ RestoresItself", which restores itself by code in the file/,
    ],
  ])("%s: %s", async (name, message) => {
    await expect(openCheckpoint(join(GOLDEN, "refused", name))).rejects.toThrow(message);
  });

  it.each([
    ["a pickle", [0x80, 2, 0x7d, 0x2e], /found a Python pickle. Convert it to safetensors .*torch-modules.py/],
    [
      "a tar archive",
      [...Buffer.from(`${"a".repeat(257)}ustar`)],
      /found a tar archive, perhaps of the first versions/,
    ],
    ["Torch 7", [4, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, ...Buffer.from("V 1")], /found a file of Torch 7 \(.t7, Lua\)/],
    ["a table of Torch 7", [3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0], /found a file of Torch 7/],
    ["Torch 7 as text", [...Buffer.from("4\n1\n3\nV 1\n")], /found a file of Torch 7/],
    ["7z", [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c, 0, 4], /found a 7z archive/],
    ["gzip", [0x1f, 0x8b, 8, 0], /found gzip-compressed/],
  ])("%s", async (_, bytes, message) => {
    const path = join(folder, "other.pt");
    await writeFile(path, Uint8Array.from([...bytes, ...new Array(600).fill(0)]));
    await expect(openCheckpoint(path)).rejects.toThrow(message);
  });

  it("a PyTorch file called .safetensors is named", async () => {
    const path = join(folder, "model.safetensors");
    await copyFile(join(GOLDEN, "module.pt"), path);
    await expect(openCheckpoint(path)).rejects.toThrow(
      /found a zip archive, as PyTorch writes.* Give it the ending .pt/,
    );
    await rm(path);
  });
});
