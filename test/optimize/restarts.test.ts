/**
 * Restarts against what they stand for: models. The coefficients that a fit with restarts ends with are those of a loop that makes the merged
 * model, takes the experts' differences from it as its task vectors, and learns anew.
 */
import { describe, expect, it } from "vitest";
import { groupTensors } from "../../src/merge/groups.js";
import { fromStart, gradientOfChange } from "../../src/merge/restarts.js";
import { initAdam, stepAdam } from "../../src/optimize/adam.js";
import { coefficientsOf, initTrainState, type TrainOptions, type TrainState, train } from "../../src/optimize/train.js";
import { createRng } from "../../src/runtime/rng.js";

const rng = createRng(2, "restarts");
const normal = (size: number) => Array.from({ length: size }, () => rng.nextNormal());
/** Two tensors of N elements, three tasks. The loss is half the squared distance from a point that no expert is at. */
const N = 6;
const base = [normal(N), normal(N)];
const taus = [0, 1, 2].map(() => [normal(N), normal(N)]);
const target = [normal(N), normal(N)];
const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
const at = <T>(values: readonly T[], index: number): T => values[index] ?? expect.fail(`${index}`);

const mergedFrom = (start: readonly number[][], vectors: readonly number[][][], valuesKL: ArrayLike<number>) =>
  start.map((tensor, layer) =>
    tensor.map(
      (value, i) =>
        value + vectors.reduce((sum, tau, k) => sum + (valuesKL[2 * k + layer] ?? 0) * at(at(tau, layer), i), 0),
    ),
  );
const gradientKL = (merged: readonly number[][], vectors: readonly number[][][]) =>
  Float64Array.from({ length: 6 }, (_, index) => {
    const layer = index % 2;
    const slope = at(merged, layer).map((value, i) => value - at(at(target, layer), i));
    return dot(at(at(vectors, Math.floor(index / 2)), layer), slope);
  });

const options: TrainOptions = {
  step: {
    bind: async () => {},
    close: async () => {},
    run: async (inputs) => {
      // The compiled step takes and gives values by tensor and task.
      const perTensorNK = inputs.get("coefficients") ?? expect.fail("coefficients");
      const valuesKL = [0, 1, 2].flatMap((k) => [0, 1].map((layer) => perTensorNK[3 * layer + k] ?? 0));
      const found = gradientKL(mergedFrom(base, taus, valuesKL), taus);
      const gradient = Float32Array.from({ length: 6 }, (_, i) => found[2 * (i % 3) + Math.floor(i / 3)] ?? 0);
      return new Map([
        ["task_losses", Float32Array.of(0, 0, 0)],
        ["gradient", gradient],
      ]);
    },
  },
  tasks: ["a", "b", "c"],
  grouping: groupTensors(
    ["x.weight", "y.weight"].map((name) => ({ name, part: "output" })),
    { granularity: "layer-wise", groups: [], shareQkv: false },
  ),
  constraint: { kind: "none" },
  initial: 0.3,
  restartEvery: 4,
  adam,
  schedule: { schedule: "constant", learningRate: 0.05, warmupSteps: 0, steps: 10 },
  adaptedTasks: ["a", "b", "c"],
  inputsAt: () => new Map(),
  imagesPerStep: 1,
  passesPerStep: 1,
  objective: "entropy",
  taskWeight: 1,
  evaluateEvery: 0,
  checkpointEvery: 0,
  evaluate: async () => [],
  signal: new AbortController().signal,
  clock: () => 0,
};

async function fitted(changes: Partial<TrainOptions>, from?: TrainState): Promise<TrainState> {
  const all = { ...options, ...changes };
  const generator = train(all, from ?? initTrainState(all));
  for (;;) {
    const next = await generator.next();
    if (next.done) return next.value.state;
  }
}

/** The same with models: nothing but weights is carried over a restart. */
function fittedModel(): number[][] {
  let [start, vectors] = [base, taus];
  let raw = new Float64Array(6).fill(0.3);
  let state = initAdam(6);
  for (let step = 0; step < 10; step++) {
    if (step > 0 && step % 4 === 0) {
      const merged = mergedFrom(start, vectors, raw);
      const experts = taus.map((tau) =>
        tau.map((tensor, layer) => tensor.map((value, i) => value + at(at(base, layer), i))),
      );
      start = merged;
      vectors = experts.map((expert) =>
        expert.map((tensor, layer) => tensor.map((value, i) => value - at(at(merged, layer), i))),
      );
      raw = new Float64Array(6).fill(1e-8);
      state = initAdam(6);
    }
    const updated = stepAdam(state, raw, gradientKL(mergedFrom(start, vectors, raw), vectors), 0.05, adam);
    raw = Float64Array.from(updated.parameters);
    state = updated.state;
  }
  return mergedFrom(start, vectors, raw);
}

describe("restarts", () => {
  it("are a new beginning from the merged model, in coefficients of the first task vectors", async () => {
    const state = await fitted({});
    const own = mergedFrom(base, taus, coefficientsOf(state, 3, options.constraint));
    const wanted = fittedModel();
    for (const [layer, tensor] of own.entries())
      for (const [i, value] of tensor.entries()) expect(value).toBeCloseTo(at(at(wanted, layer), i), 4);
    // Without restarts the fit goes elsewhere.
    const straight = await fitted({ restartEvery: 0 });
    const other = mergedFrom(base, taus, coefficientsOf(straight, 3, options.constraint));
    expect(Math.abs(at(at(own, 0), 0) - at(at(other, 0), 0))).toBeGreaterThan(1e-3);
  });

  it("stopped after any step and gone on with, a fit ends with the same bits", async () => {
    const whole = await fitted({});
    for (let steps = 1; steps < 10; steps++) {
      const first = await fitted({ schedule: { ...options.schedule, steps } });
      expect(await fitted({}, first), `stopped after step ${steps}`).toEqual(whole);
    }
  });

  it("the gradient of a change is that of finite differences", () => {
    const [start, change, slope] = [0, 1, 2].map(() => Float64Array.from(normal(6)));
    if (start === undefined || change === undefined || slope === undefined) return expect.fail();
    const loss = (values: Float64Array) => dot([...fromStart(values, start, 3)], [...slope]);
    const own = gradientOfChange(slope, start, 3);
    for (const index of change.keys()) {
      const moved = (by: number) => change.map((value, i) => (i === index ? value + by : value));
      expect(own[index]).toBeCloseTo((loss(moved(1e-4)) - loss(moved(-1e-4))) / 2e-4, 8);
    }
    expect([...fromStart(change, undefined, 3)]).toEqual([...change]);
  });
});
