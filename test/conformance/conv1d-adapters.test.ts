/**
 * LoRA adapters of GPT-2, whose layers keep their weights [inputs, outputs], against the weights of peft's
 * merge_and_unload (make-conv1d-adapters.py).
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Checkpoint, openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { readMergeFile } from "../../src/config/merge-file.js";
import { mergeModels } from "../../src/run/merge-models/merge-models.js";
import { relativeError } from "../support/random.js";
import { CONFORMANCE } from "./fixture.js";

const FOLDER = join(CONFORMANCE, "conv1d-adapters");
let folder = "";
let base: Checkpoint;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "conv1d-adapters-"));
  base = await openCheckpoint(join(FOLDER, "base"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it.each([
  ["square", 2],
  ["patterns", 16],
  ["with-head", 5],
  ["embeddings", 4],
  ["base-layer", 4],
])("%s: the %i tensors that peft changes, and no others", async (name, count) => {
  const path = join(folder, `${name}.yaml`);
  const model = `${join(FOLDER, "base")}+${join(FOLDER, name)}`;
  await writeFile(path, `models:\n  - {model: ${model}, parameters: {weight: 1}}\nmerge_method: linear\n`);
  await mergeModels(await readMergeFile(path), join(folder, name), {
    overwrite: false,
    signal: new AbortController().signal,
    log: () => {},
    onProgress: () => {},
    threads: 1,
  });
  const [found, changed] = [
    await openCheckpoint(join(folder, name)),
    await openCheckpoint(join(FOLDER, name, "merged.safetensors")),
  ];
  expect(changed.tensors.size).toBe(count);
  for (const tensor of base.tensors.keys()) {
    const before = await base.readFloat32(tensor);
    const wanted = changed.tensors.has(tensor) ? await changed.readFloat32(tensor) : before;
    expect(relativeError(await found.readFloat32(tensor), wanted), tensor).toBeLessThan(1e-6);
    // The error that is looked for is as large as the change.
    if (wanted !== before) expect(relativeError(before, wanted), tensor).toBeGreaterThan(1e-2);
  }
});
