/**
 * `adamerge merge` against mergekit (merge-file/make.py): the same files, read and merged by each. mergekit computes in float32 and we in
 * float64 with one rounding; signs that are elected within a rounding of zero may differ, so single elements may.
 */
import { mkdtemp, readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type Checkpoint, openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { readMergeFile } from "../../src/config/merge-file.js";
import { mergeModels } from "../../src/run/merge-models/merge-models.js";
import { relativeError } from "../support/random.js";

const MODELS = join(import.meta.dirname, "merge-file", "models");
const FILES = ["linear", "linear-sum", "slerp", "task-arithmetic", "ties", "ties-sum", "dare-all"];

let expected: Checkpoint;
let folder: string;
beforeAll(async () => {
  expected = await openCheckpoint(join(import.meta.dirname, "merge-file", "expected.safetensors"));
  folder = await mkdtemp(join(tmpdir(), "adamerge-merge-file-"));
});

async function merged(name: string, threads: number): Promise<Checkpoint> {
  const output = join(folder, `${name}-${threads}`);
  const file = { ...(await readMergeFile(join(MODELS, `${name}.yaml`))), dtype: "float32" as const };
  const { signal } = new AbortController();
  const result = await mergeModels(file, output, {
    overwrite: false,
    signal,
    log: () => {},
    onProgress: () => {},
    threads,
  });
  expect(result.reason).toBe("finished");
  return openCheckpoint(output);
}

describe.each(FILES)("%s", (name) => {
  it("equals mergekit's model, tensor by tensor", async () => {
    const found = await merged(name, 2);
    const names = [...found.tensors.keys()];
    expect(names.length).toBe(30);
    for (const tensor of names) {
      const ours = await found.readFloat32(tensor);
      const theirs = await expected.readFloat32(`${name}/${tensor}`);
      expect(ours.length).toBe(theirs.length);
      expect(relativeError(ours, theirs), tensor).toBeLessThan(1e-6);
    }
  });
});

it("has a fixture for every file, and no other", async () => {
  const files = (await readdir(MODELS)).filter((name) => name.endsWith(".yaml")).map((name) => name.slice(0, -5));
  expect(files.toSorted()).toEqual(FILES.toSorted());
});

it("is the same with any number of threads, to the bit", async () => {
  const bytes = await Promise.all(
    [1, 3].map(async (threads) => {
      await merged("ties", threads);
      return readFile(join(folder, `ties-${threads}`, "model.safetensors"));
    }),
  );
  expect(bytes[0]?.equals(bytes[1] ?? Buffer.alloc(0))).toBe(true);
});
