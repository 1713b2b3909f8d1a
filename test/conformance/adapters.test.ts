/** LoRA adapters as experts against peft's merge_and_unload, and linearised ones against their expansion by torch.func.jvp (make-adapters.py). */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildBundle } from "../../src/checkpoint/build-bundle.js";
import { readTaskVectors } from "../../src/checkpoint/bundle.js";
import { type Checkpoint, openCheckpoint, saveCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { compareCheckpoints } from "../../src/checkpoint/preflight.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { clipVisionLayout } from "../../src/model/clip/layout.js";
import { clipVisionTensors } from "../../src/model/clip/vision.js";
import { openBase, openExpert } from "../../src/model/open-models.js";
import { modelWeights } from "../../src/run/suite/stored-weights.js";
import { relativeError } from "../support/random.js";
import { CONFORMANCE, readFixture } from "./fixture.js";
import { towerConfig } from "./problem.js";
import { towerFeatures } from "./tower-features.js";

const BASE = "tower-quick-gelu";
const adapter = (name: string) => join(CONFORMANCE, "adapters", name);
let base: Checkpoint;
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adapters-"));
  base = await openBase(join(CONFORMANCE, BASE));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const tensors = async () => clipVisionTensors(await towerConfig(BASE));

/** The whole model that peft makes of the adapter, as a checkpoint of its own. */
async function merged(name: string): Promise<Checkpoint> {
  const changed = await openCheckpoint(join(adapter(name), "merged.safetensors"));
  const path = join(folder, name);
  await saveCheckpoint(path, {
    config: base.config,
    specs: (await tensors()).map((tensor) => ({ ...tensor, dtype: "F32" })),
    data: (tensor) => (changed.tensors.has(tensor) ? changed.readFloat32(tensor) : base.readFloat32(tensor)),
    replace: true,
  });
  return openCheckpoint(path);
}

describe("base + delta equals merge_and_unload", () => {
  it.each(["plain", "patterns"])("%s", async (name) => {
    const [found, expected] = [
      await openExpert(adapter(name), base),
      await openCheckpoint(join(adapter(name), "merged.safetensors")),
    ];
    expect([...found.tensors.keys()].toSorted()).toEqual([...expected.tensors.keys()].toSorted());
    for (const [tensor, { shape }] of expected.tensors) {
      expect(found.tensors.get(tensor), tensor).toMatchObject({ shape, dtype: "F32" });
      const [own, was] = [await found.readFloat32(tensor), await base.readFloat32(tensor)];
      const wanted = await expected.readFloat32(tensor);
      expect(relativeError(own, wanted), tensor).toBeLessThan(1e-6);
      // The change itself: what peft adds, up to the rounding of the sum.
      const change = (values: Float32Array) => values.map((value, i) => value - (was[i] ?? 0));
      expect(relativeError(change(own), change(wanted)), tensor).toBeLessThan(1e-5);
    }
  });

  it("given as the file of its tensors", async () => {
    const found = await openExpert(join(adapter("plain"), "adapter_model.safetensors"), base);
    expect(found.tensors.size).toBe(4);
  });
});

it("a linearised adapter is the change of weights that its expansion is", async () => {
  const expert = await openExpert(adapter("linearized"), base);
  expect(expert.tensors.size).toBe(4);
  const weights = await modelWeights(expert, base, { tensors: await tensors(), layout: clipVisionLayout });
  const read = async (name: string) => weights.get(name) ?? new Float32Array();
  const found = await towerFeatures(BASE, read, await createTfjsEngine("cpu"));
  const expected = (await readFixture("adapters/linearized/expected.safetensors")).floats("features_f64");
  expect(relativeError(found, expected)).toBeLessThan(1e-5);
});

describe("task vectors", () => {
  const build = async (experts: readonly (readonly [string, Checkpoint])[]) =>
    buildBundle({
      base,
      experts: experts.map(([task, checkpoint]) => ({ task, checkpoint })),
      tensors: await tensors(),
      layout: clipVisionLayout,
      cacheDir: folder,
    });

  it("of adapters alone are those of the tensors that one of them changes", async () => {
    const experts = await Promise.all(["plain", "patterns"].map(async (name) => openExpert(adapter(name), base)));
    const bundle = await build(experts.map((expert, i) => [String(i), expert]));
    const changed = new Set(experts.flatMap((expert) => [...expert.tensors.keys()]));
    const stored = bundle.tensors.filter(({ taskVectors }) => taskVectors !== undefined).map(({ name }) => name);
    expect(new Set(stored)).toEqual(changed);
    expect(changed.size).toBeLessThan(bundle.tensors.length);
    const bias = bundle.tensors.find(({ name }) => name.endsWith("layers.0.mlp.fc1.bias"));
    if (bias === undefined) throw new Error("no bias");
    const tauKN = await readTaskVectors(bundle, bias);
    expect(tauKN.subarray(0, 64)).toEqual(new Float32Array(64));
    expect(tauKN.subarray(64).every((value) => value !== 0)).toBe(true);
  });

  it("beside a whole model are zero where the adapter changes nothing, and those of the merged model elsewhere", async () => {
    const [whole, other] = [await openExpert(adapter("plain"), base), await merged("patterns")];
    const found = await build([
      ["adapter", whole],
      ["whole", other],
    ]);
    const expected = await build([
      ["adapter", await merged("plain")],
      ["whole", other],
    ]);
    for (const [i, tensor] of found.tensors.entries()) {
      const counterpart = expected.tensors[i];
      if (counterpart === undefined) throw new Error("no tensor");
      const [own, wanted] = [await readTaskVectors(found, tensor), await readTaskVectors(expected, counterpart)];
      expect(Math.max(...own.map((value, at) => Math.abs(value - (wanted[at] ?? 0))))).toBeLessThan(1e-6);
      const size = own.length / 2;
      if (!whole.tensors.has(tensor.name)) expect(own.subarray(0, size)).toEqual(new Float32Array(size));
    }
  });

  it("need adapters that differ", async () => {
    const copy = join(folder, "copy");
    await cp(adapter("plain"), copy, { recursive: true });
    const experts = await Promise.all(
      [adapter("plain"), adapter("patterns"), copy].map(async (path, i) => ({
        task: String(i),
        checkpoint: await openExpert(path, base),
      })),
    );
    const problems = await compareCheckpoints(base, experts, await tensors(), clipVisionLayout);
    expect(problems.map(({ kind, file }) => [kind, file])).toEqual([["identical", copy]]);
  });
});
