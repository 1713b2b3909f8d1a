/**
 * A step on a BERT with two task vectors against float64 PyTorch: its losses and the gradient of its coefficients, those of the table of words and
 * of the segments among them; against central differences of our own loss; and the engines against each other.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { buildBundle } from "../../src/checkpoint/build-bundle.js";
import type { Bundle, TaskVectorDtype } from "../../src/checkpoint/bundle.js";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import type { Engine, Executable, TensorValues } from "../../src/engine/program.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { traceProgram } from "../../src/engine/trace/trace-program.js";
import { bert } from "../../src/model/bert/text-families.js";
import type { Model } from "../../src/model/family.js";
import type { Head } from "../../src/model/heads.js";
import { objectives } from "../../src/objective/objectives.js";
import {
  STEP_INPUT_COEFFICIENTS,
  STEP_OUTPUT_GRADIENT,
  STEP_OUTPUT_LOSSES,
  stepProgram,
  stepSources,
} from "../../src/optimize/step-program.js";
import { randomArray, relativeError } from "../support/random.js";
import { CONFORMANCE, type FixtureArrays, readFixture } from "./fixture.js";
import { readTextModel } from "./text-models.js";

const WORDS = "embeddings.word_embeddings.weight";
const TEXTS_PER_TASK = 4;
const descriptionSchema = z.strictObject({
  tasks: z.array(z.string()),
  scales: z.array(z.number()),
  tensors: z.array(z.string()),
});

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
let description: z.infer<typeof descriptionSchema>;
let fixture: FixtureArrays;
let model: Model;
let heads: readonly Head[];
let cacheDir: string;

beforeAll(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), "adamerge-text-step-"));
  description = descriptionSchema.parse(
    JSON.parse(await readFile(join(CONFORMANCE, "text-step/fixture.json"), "utf8")),
  );
  fixture = await readFixture("text-step/fixture.safetensors");
  model = await readTextModel("text-step/base", bert, { pooling: "mean", normalized: true });
  heads = description.tasks.map((task, index): Head => {
    const [classes = 0, featureSize = 0] = fixture.shape(`${task}.weight`);
    return {
      task,
      classes,
      featureSize,
      weight: Float32Array.from(fixture.floats(`${task}.weight`)),
      bias: new Float32Array(classes),
      logitScale: description.scales[index] ?? 0,
    };
  });
});
afterAll(async () => {
  await onnx.close();
  await rm(cacheDir, { recursive: true, force: true });
});

async function bundleOf(dtype: TaskVectorDtype): Promise<Bundle> {
  const folder = join(CONFORMANCE, "text-step");
  return buildBundle({
    base: await openCheckpoint(join(folder, "base")),
    experts: await Promise.all(
      description.tasks.map(async (task, index) => ({
        task,
        checkpoint: await openCheckpoint(join(folder, "experts", String(index))),
      })),
    ),
    tensors: model.tensors,
    layout: model.layout,
    cacheDir,
    dtype,
  });
}

function optionsOf(bundle: Bundle) {
  const loss = objectives.entropy.loss;
  return {
    bundle,
    model,
    heads,
    examplesPerTask: TEXTS_PER_TASK,
    taskWeight: 1,
    loss: (logits: Parameters<typeof loss>[0]) => loss(logits, { form: "log_softmax", epsilon: 0 }),
  };
}

async function compile(engine: Engine, bundle: Bundle): Promise<Executable> {
  const executable = await engine.compile(stepProgram(optionsOf(bundle)));
  await executable.bind(stepSources({ bundle, heads }));
  return executable;
}

async function step(executable: Executable, coefficientsNK: Float32Array) {
  const joined = (name: string) => description.tasks.map((task) => `${task}.${name}`);
  const inputs = new Map<string, TensorValues>([
    [STEP_INPUT_COEFFICIENTS, coefficientsNK],
    ["input_ids", Int32Array.from(joined("input_ids").flatMap((name) => [...fixture.ints(name)]))],
    ...["attention_mask", "token_type_ids"].map((input): [string, TensorValues] => [
      input,
      Uint8Array.from(joined(input).flatMap((name) => [...fixture.bytes(name)])),
    ]),
  ]);
  const outputs = await executable.run(inputs);
  const losses = outputs.get(STEP_OUTPUT_LOSSES) ?? new Float32Array();
  return {
    losses,
    total: losses.reduce((a, b) => a + b, 0),
    gradientNK: outputs.get(STEP_OUTPUT_GRADIENT) ?? new Float32Array(),
  };
}

/** Rows of the fixture's tensor order in the bundle's. */
function toBundleOrder(rowsNK: Float64Array, bundle: Bundle): Float32Array {
  const tasks = description.tasks.length;
  return Float32Array.from(
    bundle.tensors.flatMap(({ name }) => {
      const row = description.tensors.indexOf(name);
      return [...rowsNK.subarray(row * tasks, (row + 1) * tasks)];
    }),
  );
}

describe.each(["onnx", "tfjs-cpu"])("%s", (name) => {
  it("equals float64 PyTorch", async () => {
    const bundle = await bundleOf("F32");
    const executable = await compile(name === "onnx" ? onnx : await createTfjsEngine("cpu"), bundle);
    expect(bundle.tensors.length).toBe(description.tensors.length);
    const { losses, gradientNK } = await step(executable, toBundleOrder(fixture.floats("lambda"), bundle));
    await executable.close();
    const expected = toBundleOrder(fixture.floats("gradient"), bundle);
    expect(relativeError(losses, fixture.floats("losses"))).toBeLessThan(1e-5);
    expect(relativeError(gradientNK, expected)).toBeLessThan(1e-5);
    // By itself, since other tensors have larger slopes.
    const at = bundle.tensors.findIndex((tensor) => tensor.name === WORDS) * description.tasks.length;
    const words = [at, at + description.tasks.length] as const;
    expect(relativeError(gradientNK.subarray(...words), expected.subarray(...words))).toBeLessThan(1e-5);
  });
});

it("has the gradient that central differences show along random directions", async () => {
  const bundle = await bundleOf("F32");
  const executable = await compile(onnx, bundle);
  const at = toBundleOrder(fixture.floats("lambda"), bundle);
  const { gradientNK } = await step(executable, at);
  const analytic: number[] = [];
  const numeric: number[] = [];
  for (let seed = 1; seed <= 8; seed++) {
    const direction = randomArray(at.length, seed);
    const width = 4e-3;
    const shifted = (sign: number) => at.map((value, index) => value + sign * width * (direction[index] ?? 0));
    const [plus, minus] = [await step(executable, shifted(1)), await step(executable, shifted(-1))];
    numeric.push((plus.total - minus.total) / (2 * width));
    analytic.push(gradientNK.reduce((sum, slope, index) => sum + slope * (direction[index] ?? 0), 0));
  }
  await executable.close();
  expect(relativeError(analytic, numeric)).toBeLessThan(1e-3);
});

it("of float16 task vectors is that of float32 within 1e-3, and only the rows of words that it needs are widened", async () => {
  const [single, half] = [await bundleOf("F32"), await bundleOf("F16")];
  const coefficients = toBundleOrder(fixture.floats("lambda"), single);
  const executable = await compile(onnx, single);
  const expected = await step(executable, coefficients);
  await executable.close();
  for (const engine of [onnx, await createTfjsEngine("cpu")]) {
    const narrow = await compile(engine, half);
    const found = await step(narrow, coefficients);
    await narrow.close();
    expect(relativeError(found.gradientNK, expected.gradientNK), engine.name).toBeLessThan(1e-3);
    expect(relativeError(found.gradientNK, expected.gradientNK), engine.name).toBeGreaterThan(1e-8);
  }
  const { operators } = traceProgram(stepProgram(optionsOf(half)));
  // Of base and task vectors; two Casts for every tensor, of the words' rows and not of the table, and two for mask and segments.
  expect(operators.get("Gather")).toBe(2);
  expect(operators.get("Cast")).toBe(2 * half.tensors.length + 2);
});
