/**
 * Twenty-five steps of heads that are learned with coefficients or with all weights, and of adapters of the features, against an independent PyTorch
 * loop in float64, with the targets of our own experts; each gradient against central differences, and in several passes.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import type { Executable, SharedFloats } from "../../src/engine/program.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { groupTensors } from "../../src/merge/groups.js";
import { mergeableTensors, mergedTensors } from "../../src/merge/merged-weights.js";
import { headSources } from "../../src/model/head-program.js";
import type { Head } from "../../src/model/heads.js";
import { withAdapters } from "../../src/model/surgery.js";
import { objectiveOf } from "../../src/objective/objectives.js";
import {
  type HeadsState,
  headsOfState,
  initHeads,
  learnedHeadNames,
  openLearnedHeads,
} from "../../src/optimize/learned-heads.js";
import { microBatched } from "../../src/optimize/micro-batches.js";
import { openParametrised } from "../../src/optimize/parametrisation/parametrised-weights.js";
import { parametrisationOf } from "../../src/optimize/parametrisation/registry.js";
import { gradientName, STEP_OUTPUT_LOSSES, stepProgram, stepSources } from "../../src/optimize/step-program.js";
import { initTrainState, train } from "../../src/optimize/train.js";
import { initWeightState, trainWeights } from "../../src/optimize/train-weights.js";
import type { LoopOptions } from "../../src/optimize/training-loop.js";
import { runWeightStep, weightStepProgram, weightStepSources } from "../../src/optimize/weight-step.js";
import { randomArray, relativeError } from "../support/random.js";
import { IMAGES_PER_TASK, taughtInputs } from "./expert-targets.js";
import { type FixtureArrays, readFixture } from "./fixture.js";
import { loadProblem, type Problem, stepImages } from "./problem.js";

const STEPS = 25;
const INITIAL = 0.3;
const RANK = 3;
const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };
/** Of losses, relative; 3e-6 was seen. */
const MOST_ERROR = 2e-5;

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => onnx.close());
let problem: Problem;
let expected: FixtureArrays;
let images: Uint8Array;
beforeAll(async () => {
  problem = await loadProblem();
  expected = await readFixture("heads/fixture.safetensors");
  const pixels = await readFixture("step/fixture.safetensors");
  images = stepImages(problem, pixels);
});

type Mode = "trained" | "surgery";

/** Heads with the fixture's adapters, before they are learned. */
const adapted = (): Head[] =>
  withAdapters(problem.heads, RANK, 0).map((head): Head => {
    const down = Float32Array.from(expected.floats(`surgery.${head.task}.start`));
    return { ...head, adapter: { rank: RANK, down, up: head.adapter?.up ?? new Float32Array() } };
  });

const objectives = { trained: "expert_divergence", surgery: "feature_l1" } as const;

const stepOptions = (mode: Mode, heads: readonly Head[], examplesPerTask = IMAGES_PER_TASK) => ({
  ...problem,
  heads,
  examplesPerTask,
  taskWeight: 1,
  learnedHeads: learnedHeadNames(heads, mode),
  targets: mode === "trained" ? ("probabilities" as const) : ("features" as const),
  loss: (outputs: Parameters<ReturnType<typeof objectiveOf>["loss"]>[0], targets?: typeof outputs) =>
    objectiveOf(objectives[mode]).loss(outputs, { form: "log_softmax", epsilon: 1e-8 }, targets),
});

const loopOptions = (mode: Mode, heads: readonly Head[], learningRate: number, own: number): LoopOptions => ({
  schedule: { schedule: "constant", learningRate, warmupSteps: 0, steps: STEPS },
  heads: openLearnedHeads(heads, mode),
  headsLearningRate: own,
  objective: objectives[mode],
  adaptedTasks: problem.bundle.tasks,
  ...{ examples: "images", imagesPerStep: 18, passesPerStep: 1, taskWeight: 1 },
  ...{ evaluateEvery: 0, checkpointEvery: 0 },
  signal: new AbortController().signal,
  clock: () => 0,
});

/** Losses of all steps and the heads after the last. */
async function followed<State extends { readonly heads?: HeadsState }>(
  events: AsyncGenerator<
    { readonly type: string; readonly taskLosses?: readonly number[] },
    { readonly state: State; readonly failure?: unknown }
  >,
  heads: readonly Head[],
) {
  const losses: number[] = [];
  let next = await events.next();
  for (; !next.done; next = await events.next()) losses.push(...(next.value.taskLosses ?? []));
  const { state, failure } = next.value;
  expect(failure).toBeUndefined();
  expect(state.heads).toBeDefined();
  return { losses, heads: state.heads === undefined ? [] : headsOfState(heads, state.heads) };
}

async function scalarRun() {
  const { heads } = problem;
  const step = await onnx.compile(stepProgram(stepOptions("trained", heads)));
  await step.bind(stepSources(problem));
  const inputs = await taughtInputs(onnx, problem, images, "expert_divergence");
  const grouping = groupTensors(problem.model.tensors, { granularity: "layer-wise", groups: [], shareQkv: false });
  const training = {
    ...loopOptions("trained", heads, 1e-2, 3e-3),
    ...{ step, grouping, tasks: problem.bundle.tasks, initial: INITIAL, restartEvery: 0, adam: ADAM },
    constraint: { kind: "none" } as const,
    inputsAt: () => inputs,
    evaluate: () => Promise.resolve([]),
  };
  const found = await followed(train(training, { ...initTrainState(training), heads: initHeads(heads) }), heads);
  await step.close();
  return found;
}

async function weightRun(mode: Mode, heads: readonly Head[], learningRate: number, own: number) {
  const isFixed = mode === "surgery";
  const step = await onnx.compile(weightStepProgram({ ...stepOptions(mode, heads), learnsWeights: !isFixed }));
  await step.bind(weightStepSources({ ...problem, heads }));
  const inputs = await taughtInputs(onnx, problem, images, objectives[mode]);
  const settings = { parametrisation_rank: 1, parametrisation_ratio: 1 };
  const parametrisation = parametrisationOf({ ...settings, parametrisation: isFixed ? "none" : "all_weights" });
  if (parametrisation === undefined) throw new Error("no parametrisation");
  const weights = await openParametrised(problem.bundle, parametrisation, isFixed ? await sumOfAll() : undefined);
  const training = {
    ...loopOptions(mode, heads, learningRate, own),
    ...{ step, weights, title: "", tensors: mergeableTensors(problem.bundle), adam: ADAM },
    inputsAt: () => inputs,
    evaluate: () => Promise.resolve({ scores: [], coefficients: [] }),
  };
  const state = { ...(await initWeightState(weights, INITIAL)), heads: initHeads(heads) };
  const found = await followed(trainWeights(training, state), heads);
  await step.close();
  return found;
}

/** The model that adapters are learned on. */
async function sumOfAll(): Promise<Map<string, Float32Array>> {
  const { bundle } = problem;
  const alike = new Float32Array(bundle.tensors.length * bundle.tasks.length).fill(INITIAL);
  const merged = new Map<string, Float32Array>();
  for await (const { name, values } of mergedTensors(bundle, alike)) merged.set(name, values);
  return merged;
}

describe("25 steps follow PyTorch", () => {
  it.each(["scalar", "all_weights"])("heads with %s", async (run) => {
    const found = run === "scalar" ? await scalarRun() : await weightRun("trained", problem.heads, 1e-3, 3e-3);
    expect(relativeError(found.losses, expected.floats(`${run}.losses`))).toBeLessThan(MOST_ERROR);
    for (const { task, weight, bias } of found.heads) {
      expect(relativeError(weight, expected.floats(`${run}.${task}.weight`)), task).toBeLessThan(MOST_ERROR);
      expect(relativeError(bias, expected.floats(`${run}.${task}.bias`)), task).toBeLessThan(1e-4);
    }
  });

  it("adapters under the distance from the experts' features, on weights that stay", async () => {
    const heads = adapted();
    const found = await weightRun("surgery", heads, 1, 5e-3);
    expect(relativeError(found.losses, expected.floats("surgery.losses"))).toBeLessThan(MOST_ERROR);
    for (const [index, { task, weight, adapter }] of found.heads.entries()) {
      expect(weight).toEqual(problem.heads[index]?.weight);
      expect(relativeError(adapter?.down ?? [], expected.floats(`surgery.${task}.down`)), task).toBeLessThan(1e-4);
      expect(relativeError(adapter?.up ?? [], expected.floats(`surgery.${task}.up`)), task).toBeLessThan(1e-4);
    }
  });
});

describe("gradients of heads", () => {
  /** Losses and gradients of the heads' tensors, at heads of these numbers. */
  async function slopes(step: Executable, mode: Mode, heads: readonly Head[], isBound: boolean) {
    const inputs = await taughtInputs(onnx, problem, images, objectives[mode]);
    const merged = new Map<string, SharedFloats>();
    if (!isBound)
      for (const [name, values] of await sumOfAll()) {
        const shared = new Float32Array(new SharedArrayBuffer(values.byteLength));
        shared.set(values);
        merged.set(name, shared);
      }
    return async (at: readonly Head[]) => {
      await step.bind(new Map(headSources(at)));
      const { lossesT, outputs } = await runWeightStep(step, merged, inputs, new Map());
      expect(outputs.has(STEP_OUTPUT_LOSSES)).toBe(true);
      const gradient = learnedHeadNames(heads, mode).flatMap((name) => [...(outputs.get(gradientName(name)) ?? [])]);
      return { total: lossesT.reduce((a, b) => a + b, 0), gradient };
    };
  }

  /** Heads whose adapters and biases are not 0 any more. */
  const moved = (heads: readonly Head[]): Head[] => {
    const state = initHeads(heads);
    const noise = randomArray(state.valuesH.length, 9, -0.2, 0.2);
    return headsOfState(heads, { ...state, valuesH: state.valuesH.map((value, at) => value + (noise[at] ?? 0)) });
  };

  async function compiled(mode: Mode, heads: readonly Head[], examplesPerTask?: number, engine = onnx) {
    const options = { ...stepOptions(mode, heads, examplesPerTask), learnsWeights: false };
    // Differences need an objective without kinks.
    const loss = mode === "surgery" ? objectiveOf("feature_l2").loss : objectiveOf("expert_divergence").loss;
    const smooth: typeof options.loss = (outputs, targets) =>
      loss(outputs, { form: "log_softmax", epsilon: 1e-8 }, targets);
    const step = await engine.compile(weightStepProgram({ ...options, loss: smooth }));
    await step.bind(weightStepSources({ ...problem, heads }));
    return step;
  }

  it.each(["trained", "surgery"] as const)("%s: are central differences", async (mode) => {
    const heads = moved(mode === "surgery" ? adapted() : problem.heads);
    const step = await compiled(mode, heads);
    const at = await slopes(step, mode, heads, false);
    const names = new Set(learnedHeadNames(heads, mode));
    const { gradient } = await at(heads);
    const state = initHeads(heads);
    const learned = headSources(heads).flatMap(([name, source]) =>
      source.kind === "memory" ? Array.from({ length: source.values.length }, () => names.has(name)) : [],
    );
    const [analytic, numeric]: [number[], number[]] = [[], []];
    for (let seed = 1; seed <= 6; seed++) {
      const direction = randomArray(state.valuesH.length, seed).map((value, index) => (learned[index] ? value : 0));
      const width = 2e-3;
      const shifted = async (sign: number) => {
        const valuesH = state.valuesH.map((value, index) => value + sign * width * (direction[index] ?? 0));
        return (await at(headsOfState(heads, { ...state, valuesH }))).total;
      };
      numeric.push(((await shifted(1)) - (await shifted(-1))) / (2 * width));
      const own = [...direction].filter((_, index) => learned[index]);
      expect(own).toHaveLength(gradient.length);
      analytic.push(gradient.reduce((sum, slope, index) => sum + slope * (own[index] ?? 0), 0));
    }
    await step.close();
    expect(relativeError(analytic, numeric)).toBeLessThan(3e-3);
  });

  it.each(["trained", "surgery"] as const)("%s: are the same in passes, and eagerly", async (mode) => {
    const heads = moved(mode === "surgery" ? adapted() : problem.heads);
    const whole = await (await slopes(await compiled(mode, heads), mode, heads, false))(heads);
    const pass = microBatched(
      await compiled(mode, heads, IMAGES_PER_TASK / 2),
      heads.map(() => IMAGES_PER_TASK),
      2,
    );
    const split = await (await slopes(pass, mode, heads, false))(heads);
    expect(relativeError(split.gradient, whole.gradient)).toBeLessThan(1e-5);
    const tfjs = await compiled(mode, heads, undefined, await createTfjsEngine("cpu"));
    const eager = await (await slopes(tfjs, mode, heads, false))(heads);
    expect(relativeError(eager.gradient, whole.gradient)).toBeLessThan(1e-4);
  });
});

it("adapters that have learned nothing change no feature", async () => {
  const heads = withAdapters(problem.heads, RANK, 7);
  expect(heads.every(({ adapter }) => adapter?.up.every((value) => value === 0))).toBe(true);
  const downs = heads.map(({ adapter }) => [...(adapter?.down ?? [])]);
  expect(downs).toEqual(withAdapters(problem.heads, RANK, 7).map(({ adapter }) => [...(adapter?.down ?? [])]));
  expect(downs).not.toEqual(withAdapters(problem.heads, RANK, 8).map(({ adapter }) => [...(adapter?.down ?? [])]));
  expect(() => withAdapters(problem.heads, 17, 0)).toThrow(/heads_rank: expected at most 16, .* found 17; lower it/);
  expect(() => withAdapters(heads, RANK, 0)).toThrow(/expected heads without an adapter for surgery, found one/);
});
