/** What cannot be exported: one error each that says what to do, and nothing written. */
import { cp, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { type WritableTensor, writeSafetensors } from "../../../src/checkpoint/safetensors-writer.js";
import { exportOnnx } from "../../../src/index.js";
import { temporaryFolder } from "../../support/cli.js";
import { writeSavedModels } from "../../support/exported-models.js";
import { runInProcess } from "../../support/in-process-cli.js";

let root = "";
beforeAll(async () => {
  root = await temporaryFolder();
  await writeSavedModels(root);
  await mkdir(join(root, "empty"));
  await writeFile(join(root, "there.onnx"), "mine");
  await symlink("there.onnx", join(root, "link.onnx"));
  await changed("nan", () => Number.NaN);
  await changed("huge", () => 70_000);
  await cp(join(root, "clip"), join(root, "others"), { recursive: true });
  await cp(join(root, "vit", "heads", "three.safetensors"), join(root, "others", "heads", "other.safetensors"));
  await cp(join(root, "sentences"), join(root, "short"), { recursive: true });
  const place = join(root, "short", "tokenizer_config.json");
  await writeFile(place, '{"tokenizer_class": "BertTokenizer", "model_max_length": 4}');
}, 60_000);

/** A copy of clip of which one weight is another. */
async function changed(name: string, value: () => number): Promise<void> {
  const folder = join(root, name);
  await cp(join(root, "clip"), folder, { recursive: true });
  const checkpoint = await openCheckpoint(folder);
  const tensors: WritableTensor[] = [];
  for (const [tensor, { shape }] of checkpoint.tensors) {
    const data = await checkpoint.readFloat32(tensor);
    if (tensor.endsWith("post_layernorm.bias")) data[1] = value();
    tensors.push({ name: tensor, dtype: "F32", shape, data });
  }
  await writeSafetensors(join(folder, "model.safetensors"), tensors);
}

describe("an export", () => {
  const refused: readonly [string, string, number, RegExp][] = [
    ["of nothing", "nowhere -o a.onnx", 3, /nowhere: expected the folder of a merged model .*, found nothing there/],
    ["of a file", "there.onnx -o a.onnx", 3, /there\.onnx: expected the folder of a merged model .*, found a file/],
    ["of a folder without a model", "empty -o a.onnx", 3, /empty: expected/],
    [
      "of a head that there is not",
      "clip -o a.onnx --task colour",
      2,
      /clip has no head "colour"; did you mean colours\? It has colours, pair/,
    ],
    [
      "of a head of a model without any",
      "texts/models/base -o a.onnx --task x",
      3,
      /expected heads \(heads\/<task>\.safetensors\)/,
    ],
    ["of heads for other features", "others -o a.onnx", 3, /expected a head for/],
    ["of a weight that is no number", "nan -o a.onnx", 3, /nan: .*post_layernorm\.bias.*NaN/],
    [
      "of a weight that float16 has not",
      "huge -o a.onnx --dtype float16",
      3,
      /huge: .*post_layernorm\.bias.*: expected values within float16, found one beyond 65504; use --dtype float32/,
    ],
    [
      "of texts too short for any",
      "short -o a.onnx",
      2,
      /short: expected a model that takes texts of at least 5 tokens, found one that takes 4/,
    ],
    ["to a name that says nothing", "clip -o a.bin", 2, /--output .*a\.bin: expected a name that ends with \.onnx/],
    [
      "to a file that is there",
      "clip -o there.onnx",
      2,
      /expected a new name, found a file\. Choose another name, or --overwrite/,
    ],
    ["to a link", "clip -o link.onnx --overwrite", 2, /expected a file or a new name, found a link to there\.onnx/],
    ["to a place below a file", "clip -o there.onnx/a.onnx", 2, /a\.onnx.*could not be written|a\.onnx: expected/],
    [
      "in a type that there is not",
      "clip -o a.onnx --dtype int8",
      2,
      /Argument: dtype, Given: "int8", Choices: "float32", "float16"/,
    ],
  ];
  it.each(refused)("%s is refused", async (_name, line, code, message) => {
    const before = (await readdir(root)).toSorted();
    const result = await runInProcess(root, `export ${line}`, {});
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code, stdout: "" });
    expect(result.stderr).toMatch(message);
    expect((await readdir(root)).toSorted()).toEqual(before);
    expect(await readFile(join(root, "there.onnx"), "utf8")).toBe("mine");
  });

  it("goes into the model's own folder, and over an earlier one where that is asked", async () => {
    const line = "export clip -o clip/onnx/model.onnx --task pair";
    const first = await runInProcess(root, line, {});
    expect(first).toMatchObject({ code: 0, stdout: `${join(root, "clip", "onnx", "model.onnx")}\n` });
    expect((await runInProcess(root, line, {})).code).toBe(2);
    expect((await runInProcess(root, `${line} --overwrite --quiet`, {})).stderr).toBe("");
  });

  it("that is aborted, or is given no place, ends with that", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(exportOnnx(join(root, "clip"), { output: join(root, "b.onnx"), signal })).rejects.toThrow("enough");
    await expect(exportOnnx("clip", { cwd: root, output: undefined as never })).rejects.toThrow(
      "exportOnnx: expected output, the new file, found none",
    );
    expect(await readdir(root)).not.toContain("b.onnx");
  });
});
