/**
 * ViT, DeiT and DINOv2 against transformers on random weights: features, classifiers, one step of merging
 * (make-image-encoders.py).
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { applyAdapter, readAdapter } from "../../src/checkpoint/adapter/adapter.js";
import { buildBundle } from "../../src/checkpoint/build-bundle.js";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { towerName } from "../../src/checkpoint/layout/tower-names.js";
import { compareCheckpoints } from "../../src/checkpoint/preflight.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import type { Engine } from "../../src/engine/program.js";
import type { Tensor } from "../../src/engine/tf.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { findClassifier, readClassifier } from "../../src/model/classifiers.js";
import type { Pooling } from "../../src/model/family.js";
import type { Head } from "../../src/model/heads.js";
import { meanEntropy } from "../../src/objective/entropy.js";
import {
  STEP_INPUT_COEFFICIENTS,
  STEP_OUTPUT_GRADIENT,
  STEP_OUTPUT_LOSSES,
  stepProgram,
  stepSources,
} from "../../src/optimize/step-program.js";
import { modelWeights } from "../../src/run/suite/stored-weights.js";
import { relativeError } from "../support/random.js";
import { readFixture } from "./fixture.js";
import { featuresOf, fixtureOf, folderOf, openModel } from "./image-encoders.js";

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => onnx.close());

const engines: readonly (readonly [string, () => Promise<Engine>])[] = [
  ["onnx", async () => onnx],
  ["tfjs-cpu", () => createTfjsEngine("cpu")],
];
const models: readonly (readonly [name: string, poolings: readonly Pooling[]])[] = [
  ["vit", ["cls", "mean", "pooler"]],
  ["vit-classifier", ["cls"]],
  ["deit", ["cls", "mean", "pooler"]],
  ["deit-classifier", ["cls"]],
  ["dinov2", ["cls"]],
  ["dinov2-classifier", ["cls", "mean"]],
  ["dinov2-swiglu", ["cls", "mean"]],
  ["registers-classifier", ["cls", "mean"]],
];

describe.each(models)("%s: features are those of transformers", (name, poolings) => {
  it.each(engines)("%s", async (_, open) => {
    const fixture = await fixtureOf(name);
    const engine = await open();
    for (const pooling of poolings) {
      const opened = await openModel(name, { pooling, normalized: false });
      const found = await featuresOf(opened, fixture.bytes("pixels"), engine);
      expect(relativeError(found, fixture.floats(pooling)), pooling).toBeLessThan(1e-5);
      expect(found.length, pooling).toBe(3 * opened.model.featureSize);
    }
  });
});

it("features are of length 1 where that is asked, and the same where the whole last block is computed", async () => {
  const fixture = await fixtureOf("vit");
  const plain = await openModel("vit");
  const expected = fixture.floats("cls");
  const whole = await featuresOf(plain, fixture.bytes("pixels"), onnx, { wholeLastBlock: true });
  expect(relativeError(whole, expected)).toBeLessThan(1e-5);
  const { featureSize } = plain.model;
  const lengths = [0, 1, 2].map((row) => Math.hypot(...expected.subarray(row * featureSize, (row + 1) * featureSize)));
  const found = await featuresOf(
    await openModel("vit", { pooling: "cls", normalized: true }),
    fixture.bytes("pixels"),
    onnx,
  );
  const unit = expected.map((value, index) => value / (lengths[Math.floor(index / featureSize)] ?? 1));
  expect(relativeError(found, unit)).toBeLessThan(1e-5);
});

describe.each(["vit-classifier", "deit-classifier", "dinov2-classifier", "registers-classifier"])("%s", (name) => {
  it("logits are the classifier's on the features that it reads", async () => {
    const { family, checkpoint } = await openModel(name);
    const found = findClassifier(checkpoint, family);
    if (found === undefined) throw new Error("no classifier");
    const fixture = await fixtureOf(name);
    const opened = await openModel(name, found.layout.features);
    const features = await featuresOf(opened, fixture.bytes("pixels"), onnx);
    const { featureSize } = opened.model;
    const { weight, bias } = await readClassifier(folderOf(name), family, { task: "t", classes: 5, featureSize });
    const logits = Float64Array.from({ length: 3 * bias.length }, (_, index) => {
      const [row, column] = [Math.floor(index / bias.length), index % bias.length];
      let sum = bias[column] ?? 0;
      for (let at = 0; at < featureSize; at++)
        sum += (features[row * featureSize + at] ?? 0) * (weight[column * featureSize + at] ?? 0);
      return sum;
    });
    expect(relativeError(logits, fixture.floats("logits"))).toBeLessThan(1e-5);
  });
});

it("a LoRA adapter made by transformers 5 changes what merge_and_unload changes", async () => {
  const { model, checkpoint } = await openModel("vit-classifier");
  const adapter = await readAdapter(folderOf("vit-adapter"), (name) => towerName(model.layout, name));
  if (adapter === undefined) throw new Error("no adapter");
  const expert = applyAdapter(adapter, checkpoint, model.layout);
  const weights = await modelWeights(expert, checkpoint, model);
  const read = async (name: string) => weights.get(name) ?? new Float32Array();
  const adapted = { ...checkpoint, readFloat32: async (name: string) => read(name.replace(/^vit\./, "")) };
  const images = (await fixtureOf("vit-classifier")).bytes("pixels");
  const found = await featuresOf({ model, checkpoint: adapted }, images, onnx);
  const expected = (await readFixture("image-encoders/vit-adapter/expected.safetensors")).floats("cls");
  expect(relativeError(found, expected)).toBeLessThan(1e-5);
  expect(expert.tensors.size).toBe(2 * 4);
});

describe.each(["vit-classifier", "registers-classifier"])("%s: one step of merging", (name) => {
  it.each(engines)("%s: losses and the gradient of all coefficients are PyTorch's", async (_, open) => {
    const cacheDir = await mkdtemp(join(tmpdir(), "adamerge-image-encoders-"));
    const { family, checkpoint } = await openModel(name);
    const { model } = await openModel(name, findClassifier(checkpoint, family)?.layout.features);
    const experts = await Promise.all(
      [0, 1].map(async (index) => ({
        task: `task${index}`,
        checkpoint: await openCheckpoint(join(folderOf(name), "experts", `${index}.safetensors`)),
      })),
    );
    expect(await compareCheckpoints(checkpoint, experts, model.tensors, model.layout)).toEqual([]);
    const bundle = await buildBundle({
      base: checkpoint,
      experts,
      tensors: model.tensors,
      layout: model.layout,
      cacheDir,
    });
    const heads = await Promise.all(
      experts.map(async ({ task, checkpoint: expert }): Promise<Head> => {
        const bias = await expert.readFloat32("classifier.bias");
        const weight = await expert.readFloat32("classifier.weight");
        return { task, classes: bias.length, featureSize: model.featureSize, logitScale: 1, weight, bias };
      }),
    );
    const loss = (logits: Tensor) => meanEntropy(logits, { form: "log_softmax" });
    const options = { bundle, model, heads, examplesPerTask: 3, taskWeight: 1, loss };
    const executable = await (await open()).compile(stepProgram(options));
    await executable.bind(stepSources(options));
    const fixture = await fixtureOf(name);
    // The fixture's rows are in the order of the names in the file.
    const prefix = name.startsWith("vit") ? "vit." : "dinov2_with_registers.";
    const names = model.tensors.map((tensor) => prefix + tensor.name).toSorted();
    const rows = bundle.tensors.map((tensor) => names.indexOf(prefix + tensor.name));
    const inOrder = (values: Float64Array) => rows.flatMap((row) => [...values.subarray(2 * row, 2 * row + 2)]);
    const images = new Uint8Array([...fixture.bytes("step.pixels.0"), ...fixture.bytes("step.pixels.1")]);
    const outputs = await executable.run(
      new Map<string, Float32Array | Uint8Array>([
        [STEP_INPUT_COEFFICIENTS, Float32Array.from(inOrder(fixture.floats("step.lambda")))],
        ["images", images],
      ]),
    );
    await executable.close();
    expect(rows).not.toContain(-1);
    const losses = outputs.get(STEP_OUTPUT_LOSSES) ?? [];
    expect(relativeError(losses, fixture.floats("step.losses"))).toBeLessThan(1e-5);
    const gradient = outputs.get(STEP_OUTPUT_GRADIENT) ?? [];
    expect(relativeError(gradient, inOrder(fixture.floats("step.gradient")))).toBeLessThan(1e-5);
    await rm(cacheDir, { recursive: true, force: true });
  });
});
