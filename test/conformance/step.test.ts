/**
 * The gradient of the coefficients against float64 PyTorch (every granularity, both entropy forms) and against central
 * differences of our own loss, and the engines against each other.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import { type Engine, type Executable, sizeOf } from "../../src/engine/program.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { traceProgram } from "../../src/engine/trace/trace-program.js";
import { toGroupGradient, toTensorCoefficients } from "../../src/merge/coefficients.js";
import { type Granularity, type Grouping, groupTensors } from "../../src/merge/groups.js";
import { mergeableTensors } from "../../src/merge/merged-weights.js";
import { objectives } from "../../src/objective/objectives.js";
import { microBatched } from "../../src/optimize/micro-batches.js";
import {
  STEP_INPUT_COEFFICIENTS,
  STEP_OUTPUT_GRADIENT,
  STEP_OUTPUT_LOSSES,
  stepProgram,
  stepSources,
} from "../../src/optimize/step-program.js";
import { taskVectorParts } from "../../src/optimize/task-vector-parts.js";
import { randomArray, relativeError } from "../support/random.js";
import { TFJS_BACKENDS } from "../support/tfjs-backends.js";
import { type FixtureArrays, readFixture } from "./fixture.js";
import { loadProblem, type Problem, stepImages, toBundleOrder, transpose } from "./problem.js";

type Form = "entropy" | "epsilon";
const IMAGES_PER_TASK = 6;

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
let problem: Problem;
let fixture: FixtureArrays;
let images: Uint8Array;
const compiled = new Map<Form, Executable>();

async function compile(
  engine: Engine,
  form: Form,
  of: Problem = problem,
  examplesPerTask = IMAGES_PER_TASK,
): Promise<Executable> {
  const executable = await engine.compile(
    stepProgram({
      ...of,
      examplesPerTask,
      taskWeight: 1,
      loss: (logits) =>
        objectives.entropy.loss(logits, { form: form === "epsilon" ? "epsilon" : "log_softmax", epsilon: 1e-8 }),
    }),
  );
  await executable.bind(stepSources(of));
  return executable;
}

beforeAll(async () => {
  problem = await loadProblem();
  fixture = await readFixture("step/fixture.safetensors");
  images = stepImages(problem, fixture);
  for (const form of ["entropy", "epsilon"] as const) compiled.set(form, await compile(onnx, form));
});
afterAll(() => onnx.close());

async function step(executable: Executable | undefined, coefficientsNK: Float32Array) {
  const outputs = await executable?.run(
    new Map<string, Float32Array | Uint8Array>([
      [STEP_INPUT_COEFFICIENTS, coefficientsNK],
      ["images", images],
    ]),
  );
  const losses = outputs?.get(STEP_OUTPUT_LOSSES) ?? new Float32Array();
  return {
    losses,
    total: losses.reduce((a, b) => a + b, 0),
    gradientNK: outputs?.get(STEP_OUTPUT_GRADIENT) ?? new Float32Array(),
  };
}

const granularities: readonly (readonly [Granularity, string])[] = [
  ["layer-wise", "layer"],
  ["block-wise", "block"],
  ["task-wise", "task"],
];

/** The fixture's rows of one granularity as our matrix [K, L]. */
function fixtureMatrix(name: string, granularity: Granularity): Float64Array {
  const values = fixture.floats(name);
  const rows = granularity === "layer-wise" ? toBundleOrder(values, problem) : values;
  return transpose(rows, rows.length / problem.bundle.tasks.length);
}

function groupingOf(granularity: Granularity): Grouping {
  return groupTensors(problem.model.tensors, { granularity, groups: [], shareQkv: false });
}

describe.each(granularities)("gradient, %s", (granularity, prefix) => {
  it.each(["entropy", "epsilon"] as const)("%s equals float64 PyTorch", async (form) => {
    const grouping = groupingOf(granularity);
    const tasks = problem.bundle.tasks.length;
    const values = fixtureMatrix(`${prefix}.lambda`, granularity);
    expect(values.length).toBe(tasks * grouping.groups.length);
    const { losses, gradientNK } = await step(compiled.get(form), toTensorCoefficients(values, grouping, tasks));
    expect(relativeError(losses, fixture.floats(`${prefix}.${form}.losses`))).toBeLessThan(1e-5);
    const gradient = toGroupGradient(gradientNK, grouping, tasks);
    const error = relativeError(gradient, fixtureMatrix(`${prefix}.${form}.gradient`, granularity));
    expect(error).toBeLessThan(1e-5);
  });

  it("equals central differences along random directions", async () => {
    const grouping = groupingOf(granularity);
    const tasks = problem.bundle.tasks.length;
    const values = fixtureMatrix(`${prefix}.lambda`, granularity);
    const at = (shifted: Float64Array) => step(compiled.get("entropy"), toTensorCoefficients(shifted, grouping, tasks));
    const gradient = toGroupGradient((await at(values)).gradientNK, grouping, tasks);
    const analytic: number[] = [];
    const numeric: number[] = [];
    for (let seed = 1; seed <= 8; seed++) {
      const direction = randomArray(values.length, seed);
      const width = 4e-3;
      const shift = (sign: number) => values.map((value, index) => value + sign * width * (direction[index] ?? 0));
      const [plus, minus] = [await at(shift(1)), await at(shift(-1))];
      numeric.push((plus.total - minus.total) / (2 * width));
      analytic.push(gradient.reduce((sum, slope, index) => sum + slope * (direction[index] ?? 0), 0));
    }
    expect(relativeError(analytic, numeric)).toBeLessThan(1e-3);
  });
});

it.each(TFJS_BACKENDS)("tfjs-%s computes the same step as onnx", async (backend) => {
  const grouping = groupingOf("layer-wise");
  const coefficients = toTensorCoefficients(
    fixtureMatrix("layer.lambda", "layer-wise"),
    grouping,
    problem.bundle.tasks.length,
  );
  const eager = await compile(await createTfjsEngine(backend), "entropy");
  const found = await step(eager, coefficients);
  const expected = await step(compiled.get("entropy"), coefficients);
  await eager.close();
  expect(relativeError(found.losses, expected.losses)).toBeLessThan(1e-5);
  expect(relativeError(found.gradientNK, expected.gradientNK)).toBeLessThan(1e-5);
});

it.each([2, 3, 6])("a step in %d passes is the whole step's within 1e-5", async (passes) => {
  const coefficients = randomArray(mergeableTensors(problem.bundle).length * problem.bundle.tasks.length, 4, 0.1, 0.5);
  const expected = await step(compiled.get("entropy"), coefficients);
  const pass = await compile(onnx, "entropy", problem, IMAGES_PER_TASK / passes);
  const examples = problem.heads.map(() => IMAGES_PER_TASK);
  const found = await step(microBatched(pass, examples, passes), coefficients);
  expect(relativeError(found.gradientNK, expected.gradientNK)).toBeLessThan(1e-5);
  expect(relativeError(found.losses, expected.losses)).toBeLessThan(1e-6);
});

describe("task vectors in float16", () => {
  it("give the gradient of float32 within 1e-3, norm-wise, on both engines", async () => {
    const coefficients = randomArray(
      mergeableTensors(problem.bundle).length * problem.bundle.tasks.length,
      3,
      0.1,
      0.5,
    );
    const expected = await step(compiled.get("entropy"), coefficients);
    const half = await loadProblem("F16");
    expect(half.bundle.fingerprint).not.toBe(problem.bundle.fingerprint);
    for (const engine of [onnx, await createTfjsEngine("cpu")]) {
      const found = await step(await compile(engine, "entropy", half), coefficients);
      expect(relativeError(found.gradientNK, expected.gradientNK), engine.name).toBeLessThan(1e-3);
      expect(relativeError(found.gradientNK, expected.gradientNK), engine.name).toBeGreaterThan(1e-7);
      expect(Math.abs(found.total - expected.total), engine.name).toBeLessThan(1e-3 * expected.total);
    }
  });

  it("are widened where they are used, for forward and backward apart", async () => {
    const half = await loadProblem("F16");
    const program = stepProgram({
      ...half,
      examplesPerTask: IMAGES_PER_TASK,
      taskWeight: 1,
      loss: (logits) => objectives.entropy.loss(logits, { form: "log_softmax", epsilon: 0 }),
    });
    const tensors = mergeableTensors(half.bundle).length;
    // One for the images besides.
    expect(traceProgram(program).operators.get("Cast")).toBe(2 * tensors + 1);
  });
});

describe("task vectors that are larger than a device's buffers", () => {
  /** A limit that the largest task vector fits into once, and smaller ones several times. */
  const limit = (): number => Math.max(...problem.bundle.tensors.map(({ shape }) => 4 * sizeOf(shape)));

  it("are held in parts, with the same losses and gradients", async () => {
    const split = { ...problem, maxTensorBytes: limit() };
    const parts = problem.bundle.tensors.map((tensor) => taskVectorParts(problem.bundle, tensor, limit()).length);
    expect(Math.max(...parts)).toBe(problem.bundle.tasks.length);
    expect(Math.min(...parts)).toBe(1);
    const coefficients = randomArray(parts.length * problem.bundle.tasks.length, 5, 0.1, 0.5);
    const expected = await step(compiled.get("entropy"), coefficients);
    for (const engine of [onnx, await createTfjsEngine("cpu")]) {
      const found = await step(await compile(engine, "entropy", split), coefficients);
      expect(relativeError(found.gradientNK, expected.gradientNK), engine.name).toBeLessThan(2e-6);
      expect(relativeError(found.losses, expected.losses), engine.name).toBeLessThan(2e-6);
    }
    const half = { ...(await loadProblem("F16")), maxTensorBytes: limit() / 2 };
    const found = await step(await compile(onnx, "entropy", half), coefficients);
    expect(relativeError(found.gradientNK, expected.gradientNK)).toBeLessThan(1e-3);
  });

  it("are refused with a way out when even one is too large", () => {
    const [tensor] = problem.bundle.tensors.filter(({ shape }) => 4 * sizeOf(shape) === limit());
    if (tensor === undefined) throw new Error("no largest tensor");
    expect(() => taskVectorParts(problem.bundle, tensor, limit() - 1)).toThrow(
      `tensor ${tensor.name}: expected at most ${limit() - 1} bytes in one task vector on this device, found ${limit()}; set task_vectors.dtype=float16, or device=cpu`,
    );
  });
});
