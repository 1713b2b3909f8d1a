/** Every merging method against a plain PyTorch form of it (make-merge-methods.py), read whole and in small pieces. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { mergeMethods } from "../../src/merge/methods/registry.js";
import { memorySource, mergeAll } from "../support/merge-source.js";
import { relativeError } from "../support/random.js";

const folder = join(import.meta.dirname, "merge-methods");
const fixture: {
  tensors: { name: string; shape: number[] }[];
  cases: { method: string; parameters: Record<string, unknown> }[];
} = JSON.parse(readFileSync(join(folder, "fixture.json"), "utf8"));
const tensors = await openCheckpoint(join(folder, "fixture.safetensors"));
const base = await tensors.readFloat32("base");
const all = await tensors.readFloat32("task_vectors");
const tasks = all.length / base.length;
const taskVectors = Array.from({ length: tasks }, (_, task) => all.slice(task * base.length, (task + 1) * base.length));

/** Random drops cannot be compared number by number; test/merge/methods/dare.test.ts has their properties. */
const WITHOUT_REFERENCE = ["linear", "dare_linear", "dare_ties"];

it.each(
  fixture.cases.flatMap(({ method, parameters }, index) =>
    [7, 1 << 20].map((pieceElements) => ({ method, parameters, index, pieceElements })),
  ),
)("$method $parameters in pieces of $pieceElements", async ({ method, parameters, index, pieceElements }) => {
  const expected = await tensors.readFloat32(`merged/${index}`);
  const source = memorySource(fixture.tensors, base, taskVectors);
  const merged = await mergeAll(method, parameters, { source, seed: 0, pieceElements });
  expect(merged).toHaveLength(expected.length);
  // The change, not the model: the base would hide an error in it.
  const change = (values: Float32Array) => values.map((value, i) => value - (base[i % base.length] ?? 0));
  expect(relativeError(change(merged), change(expected))).toBeLessThan(2e-6);
});

it("every method is in the fixture", () => {
  // Those that look at images have a fixture of their own (probe.test.ts).
  const withImages = [...mergeMethods.values()].filter(({ needsImages }) => needsImages === true);
  const covered = new Set([
    ...fixture.cases.map(({ method }) => method),
    ...withImages.map(({ name }) => name),
    ...WITHOUT_REFERENCE,
  ]);
  expect([...mergeMethods.keys()].filter((name) => !covered.has(name))).toEqual([]);
});
