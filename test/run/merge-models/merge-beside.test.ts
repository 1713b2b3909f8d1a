/** What a merge file's result has beside its tensors: the base's config to the byte, the tokenizer's and all other files, and what is said of the rest. */
import { cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { writeSafetensors } from "../../../src/checkpoint/safetensors.js";
import { readMergeFile } from "../../../src/config/merge-file.js";
import { mergeModels } from "../../../src/run/merge-models/merge-models.js";

let folder: string;
const model = (name: string) => join(folder, "x", name);

async function writeModel(name: string): Promise<void> {
  await mkdir(model(name), { recursive: true });
  await writeSafetensors(join(model(name), "model.safetensors"), [
    { name: "a.weight", shape: [2, 2], dtype: "F32", data: Float32Array.of(1, 2, 3, name.length) },
    { name: "position_ids", shape: [2], dtype: "I64", data: new Uint8Array(16).fill(1) },
  ]);
  await writeFile(join(model(name), "tokenizer.json"), `${name} tokenizer.json`);
}

describe("beside the tensors", () => {
  const LINEAR = "models:\n  - {model: x/base}\n  - {model: x/two}\nmerge_method: linear\nparameters: {weight: 1}\n";
  const CONFIG =
    '{\r\n\t"rope_theta" : 1000000.0, "eps": 1e-05, "nan": NaN, "big": 12345678901234567890,\r\n\t"dtype": "float32", "a": "\\u00e9",' +
    '\r\n\t"vision_config": {"torch_dtype": "float32", "x": 1.0}, "other_settings": {"dtype": "float32"}\r\n}\r\n';
  let base: string;
  const put = async (place: string, name: string, content = `${place} ${name}`) => {
    await mkdir(dirname(join(folder, "x", place, name)), { recursive: true });
    await writeFile(join(folder, "x", place, name), content);
  };
  const merge = async (more = "", first = "x/base") => {
    const lines: string[] = [];
    const path = join(folder, "merge.yaml");
    await writeFile(path, `${LINEAR}${more}`.replace("x/base", first));
    await mergeModels(await readMergeFile(path), join(folder, "out"), {
      overwrite: false,
      signal: new AbortController().signal,
      log: (line) => lines.push(line),
      onProgress: () => {},
    });
    return lines.join("\n");
  };
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "adamerge-beside-"));
    base = model("base");
    for (const name of ["base", "two", "other"]) await writeModel(name);
    await put("base", "config.json", CONFIG);
  });

  it("the config is the base's to the byte, but for the type that the file states", async () => {
    await merge();
    expect(await readFile(join(folder, "out", "config.json"), "utf8")).toBe(CONFIG);
    await rm(join(folder, "out"), { recursive: true });
    await merge("dtype: bfloat16\n");
    expect(await readFile(join(folder, "out", "config.json"), "utf8")).toBe(
      CONFIG.replace('"dtype": "float32", "a"', '"dtype": "bfloat16", "a"').replace(
        '{"torch_dtype": "float32"',
        '{"torch_dtype": "bfloat16"',
      ),
    );
  });

  it("a config that says another type than the tensors have is put right, one that says none is given the stated one", async () => {
    await put("base", "config.json", '{"a": 1.0, "torch_dtype": "float16"}');
    await merge();
    expect(await readFile(join(folder, "out", "config.json"), "utf8")).toBe('{"a": 1.0, "torch_dtype": "float32"}');
    await rm(join(folder, "out"), { recursive: true });
    await put("base", "config.json", '{"a": 1.0, "b": 2}');
    await merge("dtype: float16\n");
    expect(await readFile(join(folder, "out", "config.json"), "utf8")).toBe(
      '{"a": 1.0, "b": 2, "torch_dtype": "float16"}',
    );
  });

  it("tokenizers come from where the file says, everything else from the base", async () => {
    const tokenizer = [
      "tokenizer.json",
      "source.spm",
      "vocab.txt",
      "tekken.json",
      "additional_chat_templates/tool.jinja",
      "tokenization_x.py",
    ];
    const own = ["modeling_x.py", "1_Pooling/config.json", "modules.json", "LICENSE", "video_preprocessor_config.json"];
    // One vocabulary, or it would be refused.
    const textOf = (place: string, name: string) =>
      name === "tokenizer.json"
        ? JSON.stringify({ place, model: { type: "BPE", vocab: { bee: 0, tree: 1 } } })
        : `${place} ${name}`;
    for (const place of ["base", "other"])
      for (const name of [...tokenizer, ...own]) await put(place, name, textOf(place, name));
    await put("two", "tokenizer.json", textOf("two", "tokenizer.json"));
    const said = await merge(`tokenizer_source: ${join(folder, "x", "other")}\n`);
    for (const name of tokenizer) expect(await readFile(join(folder, "out", name), "utf8")).toBe(textOf("other", name));
    for (const name of own) expect(await readFile(join(folder, "out", name), "utf8")).toBe(textOf("base", name));
    expect(said).toMatch(
      /notice: modeling_x\.py of .*base: code that comes with the model is copied, and runs for whoever/,
    );
    expect(said).toMatch(/notice: tokenization_x\.py of .*other: code that comes with the model/);
  });

  it("links lead no further than the folder, or the blobs of the hub's cache", async () => {
    await writeFile(join(folder, "secret"), "secret");
    await symlink(join(folder, "secret"), join(base, "source.spm"));
    await expect(merge()).rejects.toThrow(
      /base\/source\.spm: expected a file of the model inside the folder, found a link to .*secret\. Copy the file into the folder/,
    );
    await rm(join(base, "source.spm"));
    await symlink(join(folder, "nowhere"), join(base, "source.spm"));
    await expect(merge()).rejects.toThrow(/source\.spm: expected a file of the model, found no such file/);
    await rm(join(base, "source.spm"));
    await mkdir(join(folder, "elsewhere"));
    await symlink(join(folder, "elsewhere"), join(base, "all"));
    await symlink("tokenizer.json", join(base, "inner.json"));
    // As the hub's cache lays a model out.
    await mkdir(join(folder, "x", "blobs"));
    await writeFile(join(folder, "x", "blobs", "abc"), "blob");
    await cp(base, join(folder, "x", "snapshots", "1"), { recursive: true, verbatimSymlinks: true });
    await symlink("../../blobs/abc", join(folder, "x", "snapshots", "1", "target.spm"));
    expect(await merge("", "x/snapshots/1")).toMatch(/not copied from .*1: all\/ \(links to folders\)/);
    expect(await readFile(join(folder, "out", "target.spm"), "utf8")).toBe("blob");
    expect((await lstat(join(folder, "out", "target.spm"))).isSymbolicLink()).toBe(false);
    expect(await readFile(join(folder, "out", "inner.json"), "utf8")).toBe("base tokenizer.json");
  });

  it("a model that is one file has no others, and that is said", async () => {
    await cp(join(base, "model.safetensors"), join(folder, "x", "one.safetensors"));
    expect(await merge("", "x/one.safetensors")).toMatch(
      /notice: .*one\.safetensors: of a model that is one file only the tensors are known/,
    );
    expect((await readdir(join(folder, "out"))).filter((name) => !name.startsWith(".")).toSorted()).toEqual([
      "README.md",
      "merge.yaml",
      "model.safetensors",
    ]);
  });
});
