/** Adapters of a BERT with all that peft saves beside factors, against the weights of its merge_and_unload (make-bert-adapters.py). */
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { readAdapterOf } from "../../src/checkpoint/adapter/adapted-tensors.js";
import { type Checkpoint, openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { openBase, openExpert } from "../../src/model/open-models.js";
import { relativeError } from "../support/random.js";
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
