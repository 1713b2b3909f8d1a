/**
 * Fine-tuning on examples that the caller draws, with anchors: a step is that of the compiled program on these very
 * inputs, in passes too, and the anchors hold the features.
 */
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { openCheckpoint } from "../../../src/checkpoint/checkpoint.js";
import { createOnnxEngine } from "../../../src/engine/onnx-engine.js";
import type { TensorValues } from "../../../src/engine/program.js";
import { NumericError } from "../../../src/errors.js";
import { clipVisionModel } from "../../../src/model/clip/vision-model.js";
import type { FineTuneStepEvent, FineTuneTask, FineTuning } from "../../../src/optimize/fine-tune/options.js";
import { fineTuneProgram } from "../../../src/optimize/fine-tune-program.js";
import { createRng } from "../../../src/runtime/rng.js";
import { CONFORMANCE } from "../../conformance/fixture.js";
import { normalizationOf, towerConfig } from "../../conformance/problem.js";
import { randomArray, relativeError } from "../../support/random.js";
import { trainToEnd } from "./tiny-training.js";

const TOWER = "tower-quick-gelu";
const STEPS = 3;

const engine = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => engine.close());

const config = await towerConfig(TOWER);
const model = clipVisionModel(config, await normalizationOf(TOWER));
const checkpoint = await openCheckpoint(join(CONFORMANCE, TOWER));
const weights = new Map<string, Float32Array>();
for (const { name } of model.tensors) weights.set(name, await checkpoint.readFloat32(name));

/** Images of a step, drawn anew. */
function images(name: string, count: number, step: number): Uint8Array {
  const { nextInt } = createRng(name, step);
  return Uint8Array.from({ length: count * config.imageSize ** 2 * config.channels }, () => nextInt(256));
}

function task(name: string, classes: number, examplesPerStep: number): FineTuneTask {
  const labels = (step: number) => Int32Array.from({ length: examplesPerStep }, (_, row) => (row + step) % classes);
  return {
    ...{ name, examplesPerStep },
    head: {
      ...{ task: name, classes, featureSize: model.featureSize, logitScale: 4 },
      weight: Float32Array.from(randomArray(classes * model.featureSize, classes)),
      bias: new Float32Array(classes),
    },
    store: {
      ...{ kind: "image", name, size: 9, labels: new Int32Array(9) },
      gather: () => {
        throw new Error("gathered what is drawn");
      },
    },
    batchAt: (step) => ({ examples: new Map([["images", images(name, examplesPerStep, step)]]), labels: labels(step) }),
  };
}

const features = Float32Array.from(randomArray(2 * model.featureSize, 30));
const options: FineTuning = {
  ...{ engine, model, weights, seed: 1, trainHeads: true, labelSmoothing: 0.1, clock: () => 0 },
  tasks: [task("a", 5, 4), task("b", 4, 2)],
  anchors: {
    ...{ examplesPerStep: 2, weight: 0.7 },
    at: (step) => ({ examples: new Map([["images", images("anchors", 2, step)]]), features }),
  },
  schedule: { schedule: "constant", learningRate: 1e-3, warmupSteps: 0, steps: STEPS },
  clipNorm: Number.POSITIVE_INFINITY,
};
const stepsOf = ({ events }: Awaited<ReturnType<typeof trainToEnd>>) =>
  events.filter((event): event is FineTuneStepEvent => event.type === "step");

const whole = await trainToEnd(options);

it("has the losses and the gradient of the program on the drawn examples and the anchors behind them", async () => {
  const given = options.tasks.map((one) => ({ ...one, drawn: one.batchAt?.(1) }));
  const pixels = [...given.map(({ drawn }) => drawn?.examples.get("images") ?? []), images("anchors", 2, 1)];
  const program = fineTuneProgram({
    ...{ model, labelSmoothing: 0.1, logitScale: 4, trainHeads: true, anchors: { images: 2, weight: 0.7 } },
    tasks: given.map(({ name, head, examplesPerStep }) => ({ name, classes: head.classes, images: examplesPerStep })),
  });
  const executable = await engine.compile(program);
  const outputs = await executable.run(
    new Map<string, TensorValues>([
      ...[...weights].map(([name, values]) => [`weights/${name}`, values] as const),
      ...given.map(({ name, head }) => [`head/${name}/weight`, head.weight] as const),
      ...given.map(({ name, head }) => [`head/${name}/bias`, head.bias] as const),
      ["images", Uint8Array.from(pixels.flatMap((part) => [...part]))],
      ["labels", Int32Array.from(given.flatMap(({ drawn }) => [...(drawn?.labels ?? [])]))],
      ["anchors", features],
    ]),
  );
  await executable.close();
  const [first] = stepsOf(whole);
  const [a = Number.NaN, b = Number.NaN, distance = Number.NaN] = outputs.get("losses") ?? [];
  expect(first?.taskLosses).toHaveLength(2);
  expect(relativeError(first?.taskLosses ?? [], [a, b])).toBeLessThan(1e-6);
  expect(first?.loss).toBeCloseTo((4 * a + 2 * b) / 6, 5);
  expect(distance).toBeGreaterThan(0);
  const squares = [...outputs].map(([name, values]) =>
    name.startsWith("gradient/") ? values.reduce((sum, value) => sum + value ** 2, 0) : 0,
  );
  const norm = Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
  expect(Math.abs((first?.gradientNorm ?? 0) / norm - 1)).toBeLessThan(1e-5);
});

it("learns the same in two passes but for rounding", async () => {
  const split = await trainToEnd({ ...options, passes: 2 });
  for (const [index, step] of stepsOf(split).entries()) {
    expect(relativeError(step.taskLosses, stepsOf(whole)[index]?.taskLosses ?? [])).toBeLessThan(1e-5);
    expect(step.gradientNorm).toBeCloseTo(stepsOf(whole)[index]?.gradientNorm ?? 0, 3);
  }
  // A key's bias has no gradient but rounding.
  for (const [name, values] of split.result.tensors)
    if (!name.endsWith("k_proj.bias"))
      expect(relativeError(values, whole.result.tensors.get(name) ?? []), name).toBeLessThan(1e-3);
});

it("learns something else without anchors, and names them where their distance is not finite", async () => {
  const { anchors, ...free } = options;
  const { result } = await trainToEnd(free);
  const [name = ""] = result.tensors.keys();
  expect(relativeError(result.tensors.get(name) ?? [], whole.result.tensors.get(name) ?? [])).toBeGreaterThan(1e-6);
  if (anchors === undefined) throw new Error("no anchors");
  const at = (step: number) => ({ ...anchors.at(step), features: features.map(() => Number.NaN) });
  const broken = trainToEnd({ ...options, anchors: { ...anchors, at } });
  await expect(broken).rejects.toThrow("step 1: the loss of the anchors is NaN. Nothing was kept");
  await expect(broken).rejects.toThrow(NumericError);
});
