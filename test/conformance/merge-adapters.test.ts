/** Merge files whose models are LoRA adapters, against the weights of peft's merge_and_unload (make-adapters.py). */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { writeSafetensors } from "../../src/checkpoint/safetensors.js";
import { readMergeFile } from "../../src/config/merge-file.js";
import { type MergeModelsOptions, mergeModels } from "../../src/run/merge-models/merge-models.js";
import { relativeError } from "../support/random.js";
import { CONFORMANCE } from "./fixture.js";

const BASE = join(CONFORMANCE, "tower-quick-gelu");
const adapter = (name: string) => join(CONFORMANCE, "adapters", name);
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "merge-adapters-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function merge(name: string, text: string, options: Partial<MergeModelsOptions> = {}) {
  const path = join(folder, `${name}.yaml`);
  await writeFile(path, text);
  return mergeModels(await readMergeFile(path), join(folder, name), {
    overwrite: false,
    signal: new AbortController().signal,
    log: () => {},
    onProgress: () => {},
    ...options,
  });
}

/** Tensors of a folder as float32, by name. */
async function valuesOf(path: string): Promise<ReadonlyMap<string, Float32Array>> {
  const model = await openCheckpoint(path);
  return new Map(
    await Promise.all([...model.tensors.keys()].map(async (name) => [name, await model.readFloat32(name)] as const)),
  );
}

/** peft's merged weights of an adapter, and the base's where it changes nothing. */
async function merged(name: string): Promise<ReadonlyMap<string, Float32Array>> {
  return new Map([...(await valuesOf(BASE)), ...(await valuesOf(join(adapter(name), "merged.safetensors")))]);
}

function expectClose(
  found: ReadonlyMap<string, Float32Array>,
  wanted: ReadonlyMap<string, Float32Array>,
  most: number,
) {
  expect([...found.keys()].toSorted()).toEqual([...wanted.keys()].toSorted());
  for (const [name, values] of wanted)
    expect(relativeError(found.get(name) ?? new Float32Array(), values), name).toBeLessThan(most);
}

describe("an adapter in a merge file is the model that peft makes of it", () => {
  it.each(["plain", "patterns"])("%s behind a plus", async (name) => {
    await merge(
      name,
      `models:\n  - {model: ${BASE}+${adapter(name)}, parameters: {weight: 1}}\nmerge_method: linear\n`,
    );
    expectClose(await valuesOf(join(folder, name)), await merged(name), 1e-6);
    expect(await readdir(join(folder, name))).not.toContain("scratch");
    const card = await readFile(join(folder, name, "README.md"), "utf8");
    expect(card).toContain(`tower-quick-gelu+${name}`);
  });

  it("alone, as an adapter of the file's base, beside another and in the base's own type", async () => {
    await cp(adapter("plain"), join(folder, "lora"), { recursive: true });
    const list = `models:\n  - {model: lora}\n  - {model: ${BASE}+${adapter("patterns")}}\n`;
    await merge("both", `${list}base_model: ${BASE}\nmerge_method: task_arithmetic\nparameters: {weight: 0.5}\n`);
    const [base, plain, patterns] = [await valuesOf(BASE), await merged("plain"), await merged("patterns")];
    const wanted = [...base].map(([name, values]) => {
      const sum = values.map(
        (value, i) => ((plain.get(name)?.[i] ?? 0) - value) / 2 + ((patterns.get(name)?.[i] ?? 0) - value) / 2,
      );
      return [name, values.map((value, i) => value + (sum[i] ?? 0))] as const;
    });
    expectClose(await valuesOf(join(folder, "both")), new Map(wanted), 1e-6);
  });

  it("below a base of 16 bits, whose type the merged tensors keep", async () => {
    const base = await openCheckpoint(BASE);
    await mkdir(join(folder, "half"));
    const tensors = [...base.tensors].map(async ([name, { shape }]) => ({
      name,
      shape,
      dtype: "BF16",
      data: await base.readFloat32(name),
    }));
    await writeSafetensors(join(folder, "half", "model.safetensors"), await Promise.all(tensors));
    await merge(
      "of-half",
      `models:\n  - {model: half+${adapter("plain")}}\nmerge_method: linear\nparameters: {weight: 1}\n`,
    );
    const found = await openCheckpoint(join(folder, "of-half"));
    expect(new Set([...found.tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(["BF16"]));
    // Two roundings to 8 bits, of the base and of the sum.
    expectClose(await valuesOf(join(folder, "of-half")), await merged("plain"), 2 ** -7);
  });

  it("for methods over the whole model", async () => {
    await merge(
      "whole",
      `models:\n  - {model: ${BASE}+${adapter("patterns")}}\nbase_model: ${BASE}\nmethod: task_arithmetic\nparameters: {scale: 1}\n`,
    );
    expectClose(await valuesOf(join(folder, "whole")), await merged("patterns"), 1e-6);
  });
});

it("a merge that was stopped goes on with the adapted tensors that it has", async () => {
  const text = `models:\n  - {model: ${BASE}+${adapter("patterns")}, parameters: {weight: 1}}\nmerge_method: linear\n`;
  const stop = new AbortController();
  const stopped = await merge("stopped", text, { signal: stop.signal, threads: 1, onProgress: () => stop.abort() });
  expect(stopped.reason).toBe("interrupted");
  const scratch = join(folder, "stopped.partial", "scratch");
  const [file] = await readdir(scratch);
  const before = (await stat(join(scratch, file ?? ""))).mtimeMs;
  const again = new AbortController();
  const twice = await merge("stopped", text, { signal: again.signal, threads: 1, onProgress: () => again.abort() });
  expect(twice.reason).toBe("interrupted");
  expect((await stat(join(scratch, file ?? ""))).mtimeMs).toBe(before);
  await merge("stopped", text);
  expectClose(await valuesOf(join(folder, "stopped")), await merged("patterns"), 1e-6);
  expect(await readdir(folder)).not.toContain("stopped.partial");
});

describe("refused, before anything is written", () => {
  it.each([
    ["two adapters", `${BASE}+a+b`, "expected MODEL or MODEL+ADAPTER, found"],
    ["nothing behind the plus", `${BASE}+`, "expected MODEL or MODEL+ADAPTER, found"],
    [
      "no adapter behind it",
      `${BASE}+${BASE}`,
      /tower-quick-gelu: expected the folder of a LoRA adapter \(behind the plus of model/,
    ],
    [
      "another base",
      `other+${adapter("plain")}`,
      /plain: expected a tensor of the base .*other for the adapter's "vision_model\./,
    ],
    [
      "a quantised base",
      `quantised+${adapter("plain")}`,
      /quantised\/model.safetensors: tensor ".*weight": expected plain floats, found quantised weights \(integers, I8\)/,
    ],
    [
      "an adapter without a base",
      adapter("plain"),
      /expected a full checkpoint, found a LoRA adapter.*`BASE\+ADAPTER`/,
    ],
  ])("%s", async (title, model, message) => {
    const base = await openCheckpoint(BASE);
    const zeros = [...base.tensors].map(([name, { shape }]) => ({
      name,
      shape,
      dtype: "I8",
      data: new Uint8Array(shape.reduce((a, b) => a * b, 1)),
    }));
    await writeSafetensors(join(folder, "quantised", "model.safetensors"), zeros);
    await writeSafetensors(join(folder, "other", "model.safetensors"), [
      { name: "fc.other.weight", shape: [2], dtype: "F32", data: new Float32Array(2) },
    ]);
    const name = title.replaceAll(" ", "-");
    await expect(
      merge(name, `models:\n  - {model: ${model}}\nmerge_method: linear\nparameters: {weight: 1}\n`),
    ).rejects.toThrow(message);
    expect((await readdir(folder)).filter((entry) => entry.startsWith(`${name}.`))).toEqual([`${name}.yaml`]);
  });
});
