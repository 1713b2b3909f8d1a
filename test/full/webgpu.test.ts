/**
 * ONNX Runtime's WebGPU provider on a software Vulkan driver (SwiftShader, from Debian's chromium package): the merging
 * step of the conformance fixtures against the CPU provider, and `doctor` with and without a driver. Not a speed test.
 * Each test file has a process of its own, so the driver is chosen here, before ONNX Runtime's worker starts: Node hands
 * a change of process.env on its main thread to the C environment, where the Vulkan loader reads it.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { probe } from "../../src/engine/create-engine.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import { type Engine, type Program, sizeOf } from "../../src/engine/program.js";
import { tf } from "../../src/engine/tf.js";
import { mergeableTensors, mergedTensors } from "../../src/merge/merged-weights.js";
import { objectives } from "../../src/objective/objectives.js";
import { createClassifier } from "../../src/optimize/evaluate.js";
import {
  STEP_INPUT_COEFFICIENTS,
  STEP_OUTPUT_GRADIENT,
  STEP_OUTPUT_LOSSES,
  stepProgram,
  stepSources,
} from "../../src/optimize/step-program.js";
import { type FixtureArrays, readFixture } from "../conformance/fixture.js";
import { loadProblem, type Problem, stepImages, toBundleOrder } from "../conformance/problem.js";
import { relativeError } from "../support/random.js";

const SWIFTSHADER = "/usr/lib/chromium/vk_swiftshader_icd.json";
const IMAGES_PER_TASK = 6;
const MAX_RELATIVE_ERROR = 1e-4;
const DOCTOR_TIMEOUT_MS = 120_000;

/** The driver to test on: the one the caller names, or SwiftShader. */
const driver = process.env.VK_ICD_FILENAMES ?? SWIFTSHADER;
const forms = [
  { form: "log_softmax", epsilon: 1e-8 },
  { form: "epsilon", epsilon: 1e-8 },
] as const;

const missing = existsSync(driver)
  ? undefined
  : `no Vulkan driver at ${driver}: apt-get install chromium libvulkan1, or set VK_ICD_FILENAMES`;
// Vitest's default reporter counts skipped tests and keeps their reasons to itself.
if (missing !== undefined) console.warn(`webgpu tests are skipped: ${missing}`);

function needsDriver(context: TestContext): void {
  context.skip(missing !== undefined, missing);
}

describe("the merging step on webgpu", () => {
  let problem: Problem;
  let fixture: FixtureArrays;
  const engines: Engine[] = [];

  beforeAll(async () => {
    process.env.VK_ICD_FILENAMES = driver;
    problem = await loadProblem();
    fixture = await readFixture("step/fixture.safetensors");
  });
  afterAll(async () => {
    for (const engine of engines) await engine.close();
  });

  /** Losses [T] and gradient [N, K] of `runs` successive steps on the same batch. */
  async function steps(
    provider: "cpu" | "webgpu",
    options: (typeof forms)[number],
    runs: number,
    of: Problem & { maxTensorBytes?: number } = problem,
  ) {
    const engine = createOnnxEngine({ provider, threads: 1 });
    engines.push(engine);
    const executable = await engine.compile(
      stepProgram({
        ...of,
        examplesPerTask: IMAGES_PER_TASK,
        taskWeight: 1,
        loss: (logits) => objectives.entropy.loss(logits, options),
      }),
    );
    await executable.bind(stepSources(of));
    const inputs = new Map<string, Float32Array | Uint8Array>([
      [STEP_INPUT_COEFFICIENTS, Float32Array.from(toBundleOrder(fixture.floats("layer.lambda"), problem))],
      ["images", stepImages(problem, fixture)],
    ]);
    const results = [];
    for (let run = 0; run < runs; run++) {
      const outputs = await executable.run(inputs);
      results.push({
        losses: outputs.get(STEP_OUTPUT_LOSSES) ?? new Float32Array(),
        gradientNK: outputs.get(STEP_OUTPUT_GRADIENT) ?? new Float32Array(),
      });
    }
    await executable.close();
    return results;
  }

  it("starts: a one-node graph gives the right number", async (context) => {
    needsDriver(context);
    expect(await probe("webgpu", 1), `webgpu on ${driver}; is libvulkan1 installed?`).toBeUndefined();
  });

  it.for(forms)("$form: losses and gradient equal the cpu provider's, step after step", async (options, context) => {
    needsDriver(context);
    const [expected] = await steps("cpu", options, 1);
    expect(expected?.gradientNK.length).toBeGreaterThan(0);
    for (const found of await steps("webgpu", options, 2)) {
      expect(relativeError(found.losses, expected?.losses ?? [])).toBeLessThan(MAX_RELATIVE_ERROR);
      expect(relativeError(found.gradientNK, expected?.gradientNK ?? [])).toBeLessThan(MAX_RELATIVE_ERROR);
      expect(found.gradientNK.length).toBe(expected?.gradientNK.length);
    }
  });

  it("takes task vectors that are split over several buffers, and says so when it has no float16", async (context) => {
    needsDriver(context);
    const [expected] = await steps("cpu", forms[0], 1);
    const largest = Math.max(...problem.bundle.tensors.map(({ shape }) => 4 * sizeOf(shape)));
    const [split] = await steps("webgpu", forms[0], 1, { ...problem, maxTensorBytes: largest });
    expect(relativeError(split?.gradientNK ?? [], expected?.gradientNK ?? [])).toBeLessThan(MAX_RELATIVE_ERROR);
    const half = await loadProblem("F16");
    // SwiftShader has no shader-f16; on a device that has it the numbers count.
    const found = await steps("webgpu", forms[0], 1, { ...half, maxTensorBytes: largest }).catch(
      (error: unknown) => error,
    );
    if (found instanceof Error) expect(found.message).toMatch(/no float16 arithmetic.*task_vectors.dtype=float32/);
    else {
      const [narrow] = await steps("cpu", forms[0], 1, half);
      expect(relativeError((found as (typeof narrow)[])[0]?.gradientNK ?? [], narrow?.gradientNK ?? [])).toBeLessThan(
        MAX_RELATIVE_ERROR,
      );
    }
  });

  it("evaluates, also after the weights on the device are replaced", async (context) => {
    needsDriver(context);
    const { config, model, heads, bundle } = problem;
    const size = config.imageSize ** 2 * config.channels;
    const images = fixture.bytes(`pixels.${problem.description.tasks[0]}`).slice(0, 2 * size);
    const logits = async (provider: "cpu" | "webgpu") => {
      const engine = createOnnxEngine({ provider, threads: 1 });
      engines.push(engine);
      const classifier = await createClassifier(engine, { model, heads, batchSize: 2 });
      const found: Float32Array[] = [];
      for (const coefficient of [0, 0.3]) {
        const coefficientsNK = new Float32Array(mergeableTensors(bundle).length * bundle.tasks.length).fill(
          coefficient,
        );
        const weights = new Map<string, Float32Array>();
        for await (const { name, values } of mergedTensors(bundle, coefficientsNK)) weights.set(name, values);
        await classifier.setWeights(weights);
        found.push(await classifier.logits(new Map([["images", Uint8Array.from(images)]])));
      }
      await classifier.close();
      return found;
    };
    const [expected, found] = [await logits("cpu"), await logits("webgpu")];
    expect(relativeError(expected[1] ?? [], expected[0] ?? [])).toBeGreaterThan(1e-3);
    for (const [index, values] of found.entries())
      expect(relativeError(values, expected[index] ?? [])).toBeLessThan(MAX_RELATIVE_ERROR);
  });

  it("refuses a program with an operation that only the CPU could run, instead of running it there", async (context) => {
    needsDriver(context);
    const engine = createOnnxEngine({ provider: "webgpu", threads: 1 });
    engines.push(engine);
    // ONNX Runtime 1.30 has no Sign for WebGPU; another operation takes its place here when it has.
    const program: Program = {
      name: "cpu-only",
      frozen: new Map(),
      inputs: new Map([["x", { shape: [2, 3], dtype: "float32" }]]),
      build: (tensors) => {
        const x = tensors.get("x");
        return new Map(x === undefined ? [] : [["y", tf.sign(x)]]);
      },
    };
    await expect(engine.compile(program)).rejects.toThrow(/program cpu-only: .*no kernel on webgpu/);
  });
});

describe("doctor", () => {
  /** Runs the built command line; a native crash shows as a signal. */
  function doctor(icd: string) {
    const main = join(import.meta.dirname, "../../dist/cli/main.js");
    const { status, signal, stdout } = spawnSync(process.execPath, [main, "doctor"], {
      encoding: "utf8",
      timeout: DOCTOR_TIMEOUT_MS,
      env: { ...process.env, VK_ICD_FILENAMES: icd },
    });
    return { status, signal, webgpu: stdout.split("\n").find((line) => line.includes("onnx on webgpu")) ?? "" };
  }

  it("finds webgpu on the software driver", (context) => {
    needsDriver(context);
    const { status, signal, webgpu } = doctor(driver);
    expect({ status, signal }).toEqual({ status: 0, signal: null });
    expect(webgpu).toMatch(/^ok .* works$/);
  });

  it("survives a machine whose Vulkan has no driver", () => {
    const { status, signal, webgpu } = doctor("/nonexistent/icd.json");
    expect({ status, signal }).toEqual({ status: 0, signal: null });
    expect(webgpu).toContain("not available");
  });
});
