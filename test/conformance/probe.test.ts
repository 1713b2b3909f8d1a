/** Merging methods that look at images, on a compiled tower, against plain PyTorch in float64 (make-probe.py). */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import type { ExampleStore } from "../../src/data/examples.js";
import { rowsInMemory } from "../../src/data/image/image-rows.js";
import { imageExamples } from "../../src/data/image/pixels.js";
import { createEngine } from "../../src/engine/create-engine.js";
import type { Engine } from "../../src/engine/program.js";
import { mergeBundle } from "../../src/merge/merge-bundle.js";
import type { ModelProbe } from "../../src/merge/methods/method.js";
import { mergeMethods } from "../../src/merge/methods/registry.js";
import { createClassifier } from "../../src/optimize/evaluate.js";
import { createModelProbe, likelyClasses } from "../../src/optimize/model-probe.js";
import { relativeError } from "../support/random.js";
import { CONFORMANCE, readFixture } from "./fixture.js";
import { loadProblem, type Problem } from "./problem.js";

let engine: Engine;
let problem: Problem;
let probe: ModelProbe;

beforeAll(async () => {
  problem = await loadProblem();
  ({ engine } = await createEngine({ engine: "onnx", device: "cpu", threads: 1 }));
  const { config, model, heads } = problem;
  const arrays = await readFixture("step/fixture.safetensors");
  const stores = new Map(
    heads.map(({ task }): [string, ExampleStore] => {
      const values = arrays.bytes(`pixels.${task}`);
      const side = config.imageSize;
      const size = values.length / (side * side * 3);
      const images = rowsInMemory(values, side * side * 3);
      return [task, imageExamples(task, size, images, side * side * 3)];
    }),
  );
  const classifier = await createClassifier(engine, { model, heads, batchSize: 4 });
  const signal = new AbortController().signal;
  probe = createModelProbe(engine, {
    ...{ model, heads, classifier, signal, seed: 0 },
    stores: async () => stores,
  });
});
afterAll(() => engine.close());

async function merged(name: string, parameters: object, withProbe = true): Promise<Map<string, Float32Array>> {
  const method = mergeMethods.get(name) ?? expect.fail(name);
  const options = { method, parameters, seed: 0, ...(withProbe ? { probe } : {}) };
  const stream = await mergeBundle(problem.bundle, options);
  const values = new Map<string, Float32Array>();
  for await (const tensor of stream(0)) values.set(tensor.name, tensor.values);
  return values;
}

const EXAMPLES = { examples: 6 };

describe.each([
  { name: "regmean", parameters: { ...EXAMPLES, off_diagonal: 0.9 } },
  { name: "regmean_pp", parameters: { ...EXAMPLES, off_diagonal: 0.9 } },
  { name: "lot", parameters: { ...EXAMPLES, scale: 1.2, tolerance: 1e-3 } },
  { name: "fisher", parameters: { ...EXAMPLES, coverage: 1 } },
  { name: "fw_hard", parameters: { ...EXAMPLES, step_size: 0.9 } },
  { name: "fw_hard", entry: "fw_hard_tensor", parameters: { ...EXAMPLES, step_size: 0.9, granularity: "tensor" } },
])("$name $entry", ({ name, entry = name, parameters }) => {
  it("is PyTorch's, tensor by tensor", async () => {
    const expected = await openCheckpoint(join(CONFORMANCE, "probe", "fixture.safetensors"));
    const found = await merged(name, parameters);
    for (const tensor of problem.bundle.tensors) {
      const wanted = await expected.readFloat32(`${entry}/${tensor.name}`);
      const own = found.get(tensor.name) ?? expect.fail(tensor.name);
      const [difference, size] = [
        Math.hypot(...own.map((value, i) => value - (wanted[i] ?? 0))),
        Math.hypot(...wanted),
      ];
      expect(difference / size, tensor.name).toBeLessThan(1e-5);
    }
  });

  it("says that it needs images where there are none", async () => {
    await expect(merged(name, parameters, false)).rejects.toThrow(
      `method ${name}: expected unlabelled examples of every task, found none`,
    );
  });
});

it("LOT without its scale is RegMean without shrinking in every linear layer, and not in norms", async () => {
  const [lot, regmean] = [
    await merged("lot", { ...EXAMPLES, scale: 1, tolerance: 0 }),
    await merged("regmean", { ...EXAMPLES, off_diagonal: 1 }),
  ];
  for (const { name, sharesInput, shape } of problem.model.tensors) {
    const [own, other] = [lot.get(name) ?? [], regmean.get(name) ?? []];
    const isSolved = sharesInput !== undefined && shape[1] === problem.config.hiddenSize;
    // Six images are 18 pooled features: fewer than float32 Gram matrices determine the projection by.
    if (isSolved && name !== problem.model.projection) expect(relativeError(own, other), name).toBeLessThan(1e-4);
    if (/norm\w*\.weight$/.test(name)) expect(relativeError(own, other), name).toBeGreaterThan(1e-6);
    if (name.endsWith(".bias")) expect(relativeError(own, other), name).toBeLessThan(1e-6);
  }
});

it("likely classes: those with the largest p (1 - p) first, until they cover the share", () => {
  const probabilities = Float32Array.of(0.9, 0.06, 0.03, 0.01, 0);
  expect(likelyClasses(probabilities, 0.4)).toEqual([0]);
  expect(likelyClasses(probabilities, 0.9)).toEqual([0, 1, 2]);
  expect(likelyClasses(probabilities, 1)).toEqual([0, 1, 2, 3, 4]);
  expect(likelyClasses(Float32Array.of(0, 1), 0.5)).toHaveLength(1);
});
