/**
 * Adapters of a BERT with all that peft saves beside factors, and one that is written here, against the weights of
 * peft's merge_and_unload (make-bert-adapters.py). UPDATE_ADAPTERS=1 writes ours anew; then run `make-bert-adapters.py
 * ours`.
 */
import { copyFile, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { readAdapterOf } from "../../src/checkpoint/adapter/adapted-tensors.js";
import { type Checkpoint, openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { saveTruncatedAdapter } from "../../src/merge/truncated-adapter.js";
import { openBase, openExpert } from "../../src/model/open-models.js";
import { randomArray, relativeError } from "../support/random.js";
import { CONFORMANCE } from "./fixture.js";

const BASE = join(CONFORMANCE, "text-encoders", "bert");
let base: Checkpoint;
beforeAll(async () => {
  base = await openBase(BASE);
});

it.each([
  ["everything", 35],
  ["biases", 22],
  ["tables", 6],
  ["ours", 36],
])("%s: the %i tensors that peft changes, and no others", async (name, count) => {
  const folder = join(CONFORMANCE, "bert-adapters", name);
  const [found, merged] = [await openExpert(folder, base), await openCheckpoint(join(folder, "merged.safetensors"))];
  expect(found.tensors.size).toBe(count);
  const changed = [...merged.tensors.keys()];
  expect(new Set(found.tensors.keys())).toEqual(new Set(changed));
  for (const tensor of changed) {
    const [own, wanted, before] = [
      await found.readFloat32(tensor),
      await merged.readFloat32(tensor),
      await base.readFloat32(tensor),
    ];
    expect(relativeError(own, wanted), tensor).toBeLessThan(1e-6);
    // The error that is looked for is as large as the change.
    expect(relativeError(before, wanted), tensor).toBeGreaterThan(1e-3);
  }
  // As merge files read it.
  const adapter = await readAdapterOf(folder, await openCheckpoint(BASE));
  expect(new Set([...(adapter?.factors.keys() ?? []), ...(adapter?.replaced.keys() ?? [])])).toEqual(new Set(changed));
});

it("what peft merged as ours is what is written now, to the byte", async () => {
  const folder = await mkdtemp(join(tmpdir(), "bert-adapters-"));
  const committed = join(CONFORMANCE, "bert-adapters", "ours");
  try {
    await writeTruncated(folder);
    await mkdir(committed, { recursive: true });
    for (const name of ["adapter_config.json", "adapter_model.safetensors"]) {
      if (process.env.UPDATE_ADAPTERS === "1") await copyFile(join(folder, name), join(committed, name));
      expect(await readFile(join(folder, name)), name).toEqual(await readFile(join(committed, name)));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

/** Factors, biases (the pooler's too, whose weight stays), LayerNorms and a table of embeddings in full. */
async function writeTruncated(folder: string): Promise<void> {
  const stored = await openCheckpoint(BASE);
  const names = [...stored.tensors.keys()];
  const readFloat32 = async (name: string): Promise<Float32Array> => {
    const own = await stored.readFloat32(name);
    if (/^(?:embeddings\.(?:position|token_type)|pooler\.dense\.weight)/.test(name)) return own;
    const noise = randomArray(own.length, names.indexOf(name) + 1, -0.05, 0.05);
    return own.map((value, index) => value + (noise[index] ?? 0));
  };
  await saveTruncatedAdapter(folder, {
    base: stored,
    model: { path: "a changed model", tensors: stored.tensors, readFloat32 },
    rank: 8,
    dtype: "F16",
    baseName: "../../text-encoders/bert",
    taskType: "FEATURE_EXTRACTION",
  });
}
