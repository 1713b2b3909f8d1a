/** A merge file whose models are PyTorch files gives the bits of one whose models are safetensors, of contiguous and of transposed tensors. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeSafetensors } from "../../../src/checkpoint/safetensors.js";
import { readMergeFile } from "../../../src/config/merge-file.js";
import { mergeModels } from "../../../src/run/merge-models/merge-models.js";
import { stateDictFile } from "../../malformed/make-torch-file.js";
import { randomArray } from "../../support/random.js";

const SHAPES = { "norm.bias": [12], "fc.weight": [40, 12], "head.weight": [7000, 24] } as const;
const MODELS = ["base", "one", "two"] as const;
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "merge-pytorch-"));
  for (const [index, model] of MODELS.entries()) {
    const tensors = new Map(
      Object.entries(SHAPES).map(([name, shape], at) => {
        const data = randomArray(
          shape.reduce((a: number, b) => a * b, 1),
          10 * index + at,
          -1,
          1,
        );
        return [name, { shape, data }] as const;
      }),
    );
    await mkdir(join(folder, model));
    const list = [...tensors].map(([name, tensor]) => ({ name, dtype: "F32", ...tensor }));
    await writeSafetensors(join(folder, model, "model.safetensors"), list);
    await mkdir(join(folder, `${model}-pt`));
    await writeFile(
      join(folder, `${model}-pt`, "pytorch_model.bin"),
      stateDictFile(tensors, ["fc.weight", "head.weight"]),
    );
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function merge(
  name: string,
  models: readonly string[],
  method: string,
): Promise<{ bytes: Buffer; log: string[] }> {
  const [base, ...others] = models;
  const path = join(folder, `${name}.yaml`);
  const list = others.map((model) => `  - {model: ${model}}\n`).join("");
  await writeFile(path, `models:\n${list}base_model: ${base}\n${method}\n`);
  const log: string[] = [];
  await mergeModels(await readMergeFile(path), join(folder, name), {
    overwrite: false,
    signal: new AbortController().signal,
    log: (line) => log.push(line),
    onProgress: () => {},
  });
  return { bytes: await readFile(join(folder, name, "model.safetensors")), log };
}

it.each([
  ["each tensor by itself", "merge_method: ties\nparameters: {weight: 1, density: 0.4}"],
  ["over the whole model", "method: ties"],
])("%s", async (title, method) => {
  const name = title.replaceAll(" ", "-");
  const wanted = await merge(`${name}-wanted`, MODELS, method);
  const found = await merge(`${name}-found`, ["base-pt", "one", "two-pt"], method);
  expect(found.bytes.equals(wanted.bytes)).toBe(true);
  expect(wanted.log).toEqual([expect.stringContaining("there is no config.json; none is written")]);
  expect(found.log.join("\n")).toMatch(
    /notice: .*base-pt and 1 more are PyTorch files: their tensors are read, nothing/,
  );
});
