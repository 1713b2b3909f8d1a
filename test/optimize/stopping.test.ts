/** When a fit ends without labels: the rule over whole loops, resumed after every step too, its scores by their definitions, and collapsed predictions. */
import { rm } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { parseRunConfig } from "../../src/config/load.js";
import { initAdam } from "../../src/optimize/adam.js";
import type { LookEvent } from "../../src/optimize/events.js";
import { entropyAndDrift, meanTotalVariation } from "../../src/optimize/label-free-scores.js";
import { parametrisationBytes } from "../../src/optimize/parametrisation/memory.js";
import { parametrisationOf } from "../../src/optimize/parametrisation/registry.js";
import { collapseText, effectiveClasses, isCollapsed } from "../../src/optimize/predicted-classes.js";
import { stoppingText } from "../../src/optimize/stopping.js";
import type { TrainState } from "../../src/optimize/train.js";
import { type Learner, type LoopOptions, runSteps } from "../../src/optimize/training-loop.js";
import { readTrainCheckpoint, writeTrainCheckpoint } from "../../src/track/checkpoints.js";
import { temporaryFolder } from "../support/cli.js";

const START: TrainState = { step: 0, rawKL: new Float64Array(2), adam: initAdam(2), evaluatedStep: -1 };

/** Every step adds 1 to the parameters; a look sees `scores[parameter]`. */
function learner(scores: readonly number[]): Learner<TrainState> {
  return {
    ...{ groups: ["a", "b"], parameters: 2, keepsStates: true },
    ready: (state) => state,
    step: async (state) => ({
      next: { ...state, step: state.step + 1, rawKL: state.rawKL.map((value) => value + 1) },
      ...{ taskLosses: [0], gradientNorm: 0, learningRate: 0, coefficientMeans: [] },
    }),
    evaluate: () => Promise.reject(new Error("nothing is judged here")),
    look: async ({ rawKL }) => ({ score: scores[rawKL[0] ?? -1] ?? Number.NaN, perTask: [1, 2] }),
    parametersOf: ({ rawKL }) => rawKL,
    withParameters: (state, parametersP) => ({ ...state, rawKL: Float64Array.from(parametersP) }),
  };
}

const options = (patience: number, signal: AbortSignal, every = 1, steps = 8): LoopOptions => ({
  schedule: { schedule: "constant", learningRate: 1, warmupSteps: 0, steps },
  objective: "entropy",
  adaptedTasks: ["x", "y"],
  ...{ examples: "images", imagesPerStep: 1, passesPerStep: 1, taskWeight: 1, evaluateEvery: 0, checkpointEvery: 1 },
  stopping: { every, patience },
  signal,
  clock: () => 0,
});

const never = new AbortController().signal;

/** Runs a loop to its end; keeps its states and looks. */
async function run(given: LoopOptions, own: Learner<TrainState>, from = START) {
  const [states, looks]: [TrainState[], LookEvent[]] = [[], []];
  const events = runSteps(given, own, from);
  let next = await events.next();
  for (; !next.done; next = await events.next()) {
    const event = next.value;
    if (event.type === "checkpoint" && "rawKL" in event.state) states.push(event.state);
    if (event.type === "look") looks.push(event);
  }
  return { ...next.value, states, looks };
}

describe("a fit with patience 2", () => {
  const scores = [5, 3, 4, 2, 2, 6, 1, 0, 0];

  it("ends after two looks that are no better, and keeps the best step", async () => {
    const { reason, stopping, state, looks } = await run(options(2, never), learner(scores));
    expect(reason).toBe("finished");
    expect(stopping).toEqual({ step: 5, bestStep: 3, bestScore: 2, isEarly: true });
    expect([...state.rawKL]).toEqual([3, 3]);
    expect(looks.map(({ step, score, bestStep }) => [step, score, bestStep])).toEqual([
      [0, 5, 0],
      [1, 3, 1],
      [2, 4, 1],
      [3, 2, 3],
      [4, 2, 3],
      [5, 6, 3],
    ]);
  });

  it("looks every so often, and after the last step", async () => {
    const { stopping, looks } = await run(options(2, never, 3), learner(scores));
    expect(looks.map(({ step }) => step)).toEqual([0, 3, 6, 8]);
    expect(stopping).toEqual({ step: 8, bestStep: 8, bestScore: 0, isEarly: false });
  });

  it("keeps the start where nothing is better", async () => {
    const { state, stopping } = await run(options(2, never), learner([1, 2, 3]));
    expect(stopping).toMatchObject({ step: 2, bestStep: 0 });
    expect([...state.rawKL]).toEqual([0, 0]);
  });

  it("a score that is no number is never the best", async () => {
    const { stopping } = await run(options(2, never), learner([Number.NaN, 3, Number.NaN, Number.NaN]));
    expect(stopping).toMatchObject({ step: 3, bestStep: 1, bestScore: 3 });
  });

  it("an aborted one keeps what it has, not the best", async () => {
    const abort = new AbortController();
    const own = learner(scores);
    const stopping = {
      ...own,
      step: async (state: TrainState, judged: TrainState) => {
        if (state.step === 3) abort.abort();
        return own.step(state, judged);
      },
    };
    const { reason, state, ...rest } = await run(options(2, abort.signal), stopping);
    expect(reason).toBe("interrupted");
    expect(rest.stopping).toBeUndefined();
    expect([...state.rawKL]).toEqual([4, 4]);
  });

  it("ends the same from every checkpoint, read from its files", async () => {
    const whole = await run(options(2, never), learner(scores));
    expect(whole.states.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5]);
    for (const saved of whole.states) {
      const folder = await temporaryFolder();
      await writeTrainCheckpoint(folder, { state: saved, inputs: {} });
      const found = await readTrainCheckpoint(folder, () => {});
      await rm(folder, { recursive: true });
      if (found === undefined || !("rawKL" in found.state)) throw new Error("no checkpoint");
      expect(found.state).toEqual(saved);
      const resumed = await run(options(2, never), learner(scores), found.state);
      expect(resumed.stopping).toEqual(whole.stopping);
      expect(resumed.state).toEqual(whole.state);
      expect(resumed.looks).toEqual(whole.looks.filter(({ step }) => step > saved.step));
    }
  });
});

it("without a rule nothing is looked at", async () => {
  const { stopping: _, ...plain } = options(1, never);
  const { looks, stopping, state } = await run(plain, learner([]));
  expect([looks.length, stopping, state.stopping, state.step]).toEqual([0, undefined, undefined, 8]);
});

describe("scores", () => {
  it("of disagreement are the mean total variation", () => {
    expect(meanTotalVariation([1, 0, 0.5, 0.5], [0, 1, 0.5, 0.5], 2)).toBeCloseTo(0.5, 12);
    expect(meanTotalVariation([0.2, 0.3, 0.5], [0.4, 0.3, 0.3], 3)).toBeCloseTo(0.2, 12);
  });

  it("of entropy are worst for a uniform model, and a collapsed one pays by its drift", () => {
    const start = [0.5, 0.5];
    const balanced = entropyAndDrift([1, 0, 0, 1], start, 2);
    const collapsed = entropyAndDrift([1, 0, 1, 0], start, 2);
    const uniform = entropyAndDrift([0.5, 0.5, 0.5, 0.5], start, 2);
    expect(balanced).toBe(0);
    expect(collapsed).toBeCloseTo(0.5, 12);
    expect(uniform).toBeCloseTo(1, 12);
  });
});

describe("predicted classes", () => {
  it("are counted by the entropy of their shares", () => {
    expect(effectiveClasses(Int32Array.of(4, 4, 4))).toBe(1);
    expect(effectiveClasses(Int32Array.of(0, 1, 2, 3))).toBeCloseTo(4, 12);
    expect(effectiveClasses(Int32Array.of(0, 0, 0, 1))).toBeCloseTo(4 / 3 ** 0.75, 12);
  });

  it.each([
    [1, 10, true],
    [3.9, 10, true],
    [4.1, 10, false],
    [1.2, 2, true],
    [1.4, 2, false],
    [1, 1.2, false],
  ])("%d where %d were expected: collapsed %s", (classes, expected, collapsed) => {
    expect(isCollapsed(classes, expected)).toBe(collapsed);
  });

  it("are told in a sentence, as the end by a rule is", () => {
    expect(collapseText({ task: "dtd", classes: 1.25, expected: 9.04, reference: "expert" })).toBe(
      "dtd has collapsed: its predictions fall into 1.3 classes where its expert's fall into 9.0",
    );
    expect(
      stoppingText({ step: 80, bestStep: 20, bestScore: 0.12345, isEarly: true }, "held-out entropy and drift", 3),
    ).toBe(
      "stopped after step 80: the held-out entropy and drift was no better at 3 looks in a row; step 20 is kept, where it was 0.1235",
    );
  });
});

it("the best step's parameters are counted in what a fit needs", () => {
  const rows = parametrisationOf({ parametrisation: "rows", parametrisation_rank: 1, parametrisation_ratio: 1 });
  const bytes = (keepsBest: boolean) =>
    parametrisationBytes(rows, [{ shape: [5, 7] }], 3, { isSplit: false, keepsBest });
  expect(bytes(true) - bytes(false)).toBe(8 * 3 * 5);
});

it("settings that do not go together are refused", () => {
  const parse = (stopping: object, more: object = {}) => parseRunConfig({ suite: "x", stopping, ...more });
  expect(parse({}).stopping.rule).toBe("none");
  expect(() => parse({ rule: "labels" })).toThrow(/stopping.rule/);
  expect(() => parse({ rule: "entropy", patience: 0 })).toThrow(/stopping.patience/);
  expect(() => parse({ rule: "entropy" }, { coefficients: { restart_every: 5 } })).toThrow(
    /coefficients.restart_every: expected 0 with stopping.rule entropy/,
  );
  expect(() => parse({ rule: "entropy" }, { stages: [{ steps: 5 }] })).toThrow(
    /stages: expected null with stopping.rule/,
  );
});
