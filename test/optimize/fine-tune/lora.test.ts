/**
 * LoRA from the outside: the slope of the loss in its factors, resuming to the bit, merged weights and adapters that are
 * one, and what is refused. Against peft: test/conformance/fine-tune.test.ts.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { lookup } from "../../../src/engine/lookup.js";
import { createOnnxEngine } from "../../../src/engine/onnx-engine.js";
import { sizeOf, type TensorSource, type TensorSpec, type TensorValues } from "../../../src/engine/program.js";
import { createTfjsEngine } from "../../../src/engine/tfjs-engine.js";
import { CheckpointError, ConfigError } from "../../../src/errors.js";
import { openBase, openExpert } from "../../../src/model/open-models.js";
import { fineTuneBatch } from "../../../src/optimize/fine-tune/batches.js";
import { createDropout } from "../../../src/optimize/fine-tune/dropout.js";
import { type LoraFactors, loraShape, startFactors, withFactors } from "../../../src/optimize/fine-tune/lora.js";
import type { FineTuned } from "../../../src/optimize/fine-tune/options.js";
import { learnedWeights, startParameters } from "../../../src/optimize/fine-tune/parameters.js";
import { saveLoraAdapter } from "../../../src/optimize/fine-tune/save-lora-adapter.js";
import { removeFineTuneState } from "../../../src/optimize/fine-tune/state.js";
import { fineTuneProgram } from "../../../src/optimize/fine-tune-program.js";
import { factorInputs, keptInput, loraSpecs, loraWeights } from "../../../src/optimize/lora-weights.js";
import { givenWeights, gradientName, weightSources, weightSpecs } from "../../../src/optimize/step-program.js";
import { modelWeights } from "../../../src/run/suite/stored-weights.js";
import { CONFORMANCE } from "../../conformance/fixture.js";
import { openModel } from "../../conformance/image-encoders.js";
import { randomArray, relativeError } from "../../support/random.js";
import { tinyTraining, trainToEnd } from "./tiny-training.js";

const engine = createOnnxEngine({ provider: "cpu", threads: 1 });
const folder = await mkdtemp(join(tmpdir(), "adamerge-lora-"));
const path = join(folder, "state.safetensors");
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => removeFineTuneState(path));

const options = { ...(await tinyTraining(engine, 5)), lora: { rank: 2, alpha: 3 } };

const bytesOf = ({ tensors, factors = new Map(), step, loss }: FineTuned) => [
  [step, loss],
  ...[...tensors].map(([name, values]) => [name, Buffer.from(values.buffer).toString("hex")]),
  ...[...factors].map(([name, { a, b }]) => [name, Buffer.from(a.buffer).toString("hex"), [...b]]),
];

it("the gradient is the slope of the loss in one value of every factor", async () => {
  const { model, tasks } = options;
  const batch = fineTuneBatch(options, 1);
  const lora = loraShape(model, options.lora, () => false);
  const executable = await engine.compile(
    fineTuneProgram({
      ...{ model, labelSmoothing: 0.1, logitScale: 1, trainHeads: false, length: batch.length, trained: new Set() },
      lora,
      tasks: tasks.map(({ name, head, examplesPerStep }) => ({
        ...{ name, head, classes: head.classes, images: examplesPerStep },
      })),
    }),
  );
  await executable.bind(startParameters(options).sources);
  // B too: where it is zero, A has no gradient.
  const factors = new Map(
    loraSpecs(model, lora).map(([name, { shape }], index) => {
      const size = shape.reduce((product, side) => product * side, 1);
      return [name, Float32Array.from(randomArray(size, index + 1, -0.3, 0.3))];
    }),
  );
  const bind = (name: string, values: TensorValues) =>
    executable.bind(new Map<string, TensorSource>([[name, { kind: "memory", values }]]));
  for (const [name, values] of factors) await bind(name, values);
  const outputs = await executable.run(batch.inputs);
  expect([...outputs.keys()]).toEqual(["losses", ...[...factors.keys()].map(gradientName)]);
  const lossWith = async (name: string, values: TensorValues): Promise<number> => {
    await bind(name, values);
    const losses = (await executable.run(batch.inputs)).get("losses") ?? [];
    return ((losses[0] ?? Number.NaN) * 4 + (losses[1] ?? Number.NaN) * 2) / 6;
  };
  const width = 4e-3;
  for (const [name, values] of factors) {
    const gradient = outputs.get(gradientName(name)) ?? new Float32Array();
    const steepest = gradient.reduce(
      (best, slope, at) => (Math.abs(slope) > Math.abs(gradient[best] ?? 0) ? at : best),
      0,
    );
    const slope = gradient[steepest] ?? Number.NaN;
    const moved = (by: number) => values.map((value, at) => (at === steepest ? value + by : value));
    const found = ((await lossWith(name, moved(width))) - (await lossWith(name, moved(-width)))) / (2 * width);
    await bind(name, values);
    expect(Math.abs(found - slope), name).toBeLessThan(1e-2 * Math.abs(slope) + 1e-4);
    expect(Math.abs(slope), name).toBeGreaterThan(1e-3);
  }
  await executable.close();
});

describe("a training", async () => {
  const whole = await trainToEnd(options);

  it("resumes to the bit after a kill", async () => {
    const state = { path, everySteps: 2 };
    await expect(
      trainToEnd({ ...options, state }, (event) => {
        if (event.type === "step" && event.step === 4) throw new Error("killed");
      }),
    ).rejects.toThrow("killed");
    const { events, result } = await trainToEnd({ ...options, state });
    expect(events[0]).toMatchObject({
      type: "start",
      step: 2,
      trainedTensors: 24,
      trainedParameters: 896,
    });
    expect(bytesOf(result)).toEqual(bytesOf(whole.result));
    await trainToEnd({ ...options, state });
    await expect(trainToEnd({ ...options, state, lora: { rank: 2, alpha: 4 } })).rejects.toThrow(/training's \(LoRA\)/);
    const { lora: _, ...full } = options;
    await expect(trainToEnd({ ...full, state })).rejects.toThrow(ConfigError);
  });

  it("resumes to the bit with dropout, which is the same share of every layer's input in every step", async () => {
    const dropped = { ...options, lora: { ...options.lora, dropout: 0.25 } };
    const straight = await trainToEnd(dropped);
    expect(bytesOf(straight.result)).not.toEqual(bytesOf(whole.result));
    const state = { path, everySteps: 2 };
    await expect(
      trainToEnd({ ...dropped, state }, (event) => {
        if (event.type === "step" && event.step === 3) throw new Error("killed");
      }),
    ).rejects.toThrow("killed");
    expect(bytesOf((await trainToEnd({ ...dropped, state })).result)).toEqual(bytesOf(straight.result));
    await expect(trainToEnd({ ...options, state })).rejects.toThrow(/training's \(dropout of LoRA\)/);
    const shape = loraShape(options.model, dropped.lora, () => false);
    const dropout = createDropout(options, shape);
    const steps = [1, 2].map((step) => dropout?.kept(step, 20) ?? new Map<string, Uint8Array>());
    expect([...(steps[0]?.keys() ?? [])]).toEqual([...shape.targets].map(keptInput));
    for (const [name, kept] of steps[0] ?? []) {
      expect(kept.reduce((sum, one) => sum + one, 0) / kept.length, name).toBeCloseTo(0.75, 1);
      expect(kept, name).not.toEqual(steps[1]?.get(name));
    }
    // An example's draws do not depend on what it is computed with, nor on what it is padded to.
    const [halves, short] = [createDropout({ ...options, passes: 2 }, shape), dropout?.kept(1, 16)];
    const [name = ""] = steps[0]?.keys() ?? [];
    const own = steps[0]?.get(name) ?? new Uint8Array();
    expect(halves?.kept(1, 20).get(name)).toEqual(own);
    expect(sizeOf(halves?.specs(20).get(name)?.shape ?? [])).toBe(own.length / 2);
    expect(short?.get(name)?.subarray(0, 16 * 16)).toEqual(own.subarray(0, 16 * 16));
  });

  it("changes matrices of linear layers alone, and every one of them", () => {
    const { tensors, factors } = whole.result;
    const linear = options.model.tensors.filter(({ sharesInput }) => sharesInput !== undefined).map(({ name }) => name);
    expect([...tensors.keys()]).toEqual(linear);
    expect([...(factors?.keys() ?? [])]).toEqual(linear);
    for (const [name, values] of tensors) expect(values, name).not.toEqual(options.weights.get(name));
  });

  it("is read from its adapter as the merged weights that it returned: in F32 to the bit, in F16 nearly", async () => {
    const base = await openBase(join(CONFORMANCE, "text-step/base"));
    const { tensors, factors = new Map<string, LoraFactors>() } = whole.result;
    for (const dtype of ["F32", "F16"] as const) {
      const place = join(folder, dtype);
      await saveLoraAdapter(place, { base, model: options.model, factors, dtype, baseName: "base" });
      const config = JSON.parse(await readFile(join(place, "adapter_config.json"), "utf8"));
      expect(config).toMatchObject({ r: 2, lora_alpha: 3, bias: "none", rank_pattern: {}, alpha_pattern: {} });
      const found = await openExpert(place, base);
      expect(new Set(found.tensors.keys())).toEqual(new Set(tensors.keys()));
      for (const [name, values] of tensors) {
        const read = await found.readFloat32(name);
        if (dtype === "F32") expect(read, name).toEqual(values);
        const before = options.weights.get(name) ?? [];
        const change = (after: Float32Array) => after.map((value, at) => value - (before[at] ?? 0));
        expect(relativeError(change(read), change(values)), name).toBeLessThan(2e-3);
      }
    }
  });

  it("refuses to write factors that are not finite", async () => {
    const base = await openBase(join(CONFORMANCE, "text-step/base"));
    const factors = new Map(whole.result.factors);
    for (const [name, own] of [...factors].slice(-1)) factors.set(name, { ...own, b: own.b.map(() => Number.NaN) });
    const saved = saveLoraAdapter(join(folder, "bad"), {
      base,
      model: options.model,
      factors,
      dtype: "F32",
      baseName: "",
    });
    await expect(saved).rejects.toThrow(CheckpointError);
  });

  it("is the same on the eager engine", async () => {
    const eager = await trainToEnd({ ...options, engine: await createTfjsEngine("cpu") });
    for (const [name, values] of whole.result.tensors)
      expect(relativeError(values, eager.result.tensors.get(name) ?? []), name).toBeLessThan(1e-4);
  });
});

it("begins with A within 1 / sqrt(inputs), its own in every tensor, and B zero", () => {
  const shape = loraShape(options.model, { rank: 8, alpha: 8 }, () => false);
  const [a, b, other] = startFactors(options.model, shape, 1);
  expect(b?.values.every((value) => value === 0)).toBe(true);
  const values = [...(a?.values ?? [])];
  expect([a?.shape, b?.shape]).toEqual([
    [8, 16],
    [16, 8],
  ]);
  expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(0.25);
  expect(Math.max(...values)).toBeGreaterThan(0.23);
  expect(Math.min(...values)).toBeLessThan(-0.23);
  expect(other?.values).not.toEqual(a?.values);
  expect(startFactors(options.model, shape, 1)[0]?.values).toEqual(a?.values);
  expect(startFactors(options.model, shape, 2)[0]?.values).not.toEqual(a?.values);
});

it("chooses targets by patterns, without those that are frozen", () => {
  const chosen = (freeze: string[], targets?: string[]) =>
    learnedWeights(
      { ...options, freeze },
      startParameters({ ...options, freeze, lora: { rank: 1, alpha: 1, ...(targets && { targets }) } }),
    ).tensors.size;
  expect(chosen([])).toBe(12);
  expect(chosen(["encoder.layer.0.*"])).toBe(6);
  expect(chosen([], ["*.query.weight", "*.value.weight"])).toBe(4);
  expect(chosen([], ["attention"])).toBe(8);
  expect(chosen([], ["mlp"])).toBe(4);
  expect(chosen(["encoder.layer.0.*"], ["mlp", "*.query.weight"])).toBe(3);
  expect(chosen([], ["all"])).toBe(12);
});

it("refuses ranks, alphas and patterns that do not fit, and targets that are all frozen", async () => {
  const refused = (lora: (typeof options)["lora"] & { targets?: string[]; dropout?: number }) => () =>
    startParameters({ ...options, lora });
  expect(refused({ rank: 17, alpha: 1 })).toThrow(
    "lora.rank: expected a whole number from 1 to 16, the smallest side of a matrix with factors (encoder.layer.0.attention.self.query.weight is [16, 16]), found 17",
  );
  expect(refused({ rank: 1.5, alpha: 1 })).toThrow("found 1.5; choose");
  expect(refused({ rank: 2, alpha: 0 })).toThrow("lora.alpha: expected a number above 0, found 0");
  expect(refused({ rank: 2, alpha: 1, targets: ["*.querry.*"] })).toThrow(
    /lora\.targets\.0: expected a pattern .*query/,
  );
  expect(refused({ rank: 2, alpha: 1, dropout: 1 })).toThrow(
    "lora.dropout: expected a share from 0 and below 1, found 1",
  );
  const untold = { ...options.model, tensors: options.model.tensors.map(({ half: _, ...tensor }) => tensor) };
  expect(() => startParameters({ ...options, model: untold, lora: { rank: 2, alpha: 1, targets: ["mlp"] } })).toThrow(
    "lora.targets: expected a model whose family tells the layers of its mlp, found one that tells none; give patterns",
  );
  // Matrices alone: a bias has no factors.
  expect(refused({ rank: 2, alpha: 1, targets: ["*.bias"] })).toThrow(ConfigError);
  await expect(trainToEnd({ ...options, freeze: ["*"] })).rejects.toThrow(/found 0 trained tensors/);
});

it.each([
  ["../clip", undefined],
  ["vit", { pooling: "pooler", normalized: false }],
  ["dinov2-swiglu", undefined],
] as const)(
  "%s: features with factors beside are those of merged weights, in every linear layer",
  async (name, features) => {
    const { model, checkpoint } = await openModel(name, features);
    const weights = await modelWeights(checkpoint, checkpoint, model);
    const targets = model.tensors.filter(({ sharesInput }) => sharesInput !== undefined);
    const lora = { rank: 2, alpha: 3, targets: new Set(targets.map((tensor) => tensor.name)) };
    const merged = new Map(weights);
    const values = new Map<string, Float32Array>();
    for (const [
      index,
      {
        name: target,
        shape: [outputs = 0, inputs = 0],
      },
    ] of targets.entries()) {
      const a = Float32Array.from(randomArray(2 * inputs, index + 1, -0.3, 0.3));
      const b = Float32Array.from(randomArray(2 * outputs, index + 100, -0.3, 0.3));
      values.set(factorInputs(target).a, a).set(factorInputs(target).b, b);
      merged.set(target, withFactors(weights.get(target) ?? new Float32Array(), { rank: 2, alpha: 3, a, b }));
    }
    const count = 3;
    const one =
      model
        .inputs(1)
        .get("images")
        ?.shape.reduce((product, size) => product * size, 1) ?? 1;
    const images = Uint8Array.from(randomArray(count * one, 5, 0, 256));
    const featuresOf = async (given: ReadonlyMap<string, Float32Array>, isLora: boolean): Promise<Float32Array> => {
      const executable = await engine.compile({
        name: "features",
        frozen: new Map<string, TensorSpec>([...weightSpecs(model), ...(isLora ? loraSpecs(model, lora) : [])]),
        inputs: model.inputs(count),
        build: (tensors) => {
          const get = lookup(tensors);
          return new Map([["features", model.features(isLora ? loraWeights(lora, get) : givenWeights(get), get)]]);
        },
      });
      const factors = [...values].map(([input, own]): [string, TensorSource] => [
        input,
        { kind: "memory", values: own },
      ]);
      await executable.bind(new Map([...weightSources(model, given), ...(isLora ? factors : [])]));
      const outputs = await executable.run(new Map([["images", images]]));
      await executable.close();
      return outputs.get("features") ?? new Float32Array();
    };
    const [beside, wanted, before] = [
      await featuresOf(weights, true),
      await featuresOf(merged, false),
      await featuresOf(weights, false),
    ];
    expect(relativeError(beside, wanted)).toBeLessThan(1e-5);
    expect(relativeError(before, wanted)).toBeGreaterThan(1e-2);
  },
);
