/** Steps, evaluations and probes over examples of differing lengths: what they are padded to changes nothing but rounding. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { selectExamples } from "../../src/data/examples.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import type { Engine, Executable } from "../../src/engine/program.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { groupTensors } from "../../src/merge/groups.js";
import { mergeableTensors } from "../../src/merge/merged-weights.js";
import type { ModelProbe } from "../../src/merge/methods/method.js";
import type { Model } from "../../src/model/family.js";
import { meanEntropy } from "../../src/objective/entropy.js";
import { compileByLength } from "../../src/optimize/by-length.js";
import { createClassifier } from "../../src/optimize/evaluate.js";
import { microBatched } from "../../src/optimize/micro-batches.js";
import { createModelProbe } from "../../src/optimize/model-probe.js";
import { locateNonFinite } from "../../src/optimize/non-finite.js";
import { longestLength, stepInputs, stepLength } from "../../src/optimize/step-inputs.js";
import { estimateStepBytes } from "../../src/optimize/step-memory.js";
import { stepProgram, stepSources } from "../../src/optimize/step-program.js";
import { initTrainState, type TrainOptions, type TrainState, train } from "../../src/optimize/train.js";
import { randomArray, relativeError } from "../support/random.js";
import {
  LENGTHS,
  type TinyProblem,
  tinyProblem,
  tinyTextModel,
  tinyTexts,
  tinyWeights,
} from "../support/tiny-texts.js";

const EXAMPLES = 2;
const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
let eager: Engine;
let problem: TinyProblem;
beforeAll(async () => {
  problem = await tinyProblem();
  eager = await createTfjsEngine("cpu");
});
afterAll(() => onnx.close());

/** An engine that notes the lengths of what it compiles and counts what is bound. */
function noting(engine: Engine) {
  const [lengths, binds]: [number[], string[]] = [[], []];
  const compile: Engine["compile"] = async (program, beside) => {
    lengths.push(program.inputs.get("input_ids")?.shape[1] ?? -1);
    const executable = await engine.compile(program, beside);
    const bind = executable.bind;
    executable.bind = (frozen) => {
      binds.push(...frozen.keys());
      return bind(frozen);
    };
    return executable;
  };
  return { engine: { ...engine, compile }, lengths, binds };
}

async function compiledStep(engine: Engine, model: Model = problem.model, passes = 1): Promise<Executable> {
  const { bundle, heads } = problem;
  const examplesPerTask = EXAMPLES / passes;
  const options = { bundle, model, heads, examplesPerTask, taskWeight: 1 };
  const loss = (logits: Parameters<typeof meanEntropy>[0]) => meanEntropy(logits, { form: "log_softmax" });
  const step = await compileByLength(engine, model, heads.length * examplesPerTask, (length) =>
    stepProgram({ ...options, length, loss }),
  );
  await step.bind(stepSources(options));
  return microBatched(
    step,
    heads.map(() => EXAMPLES),
    passes,
  );
}

const place = (step: number, lengths: readonly number[] = LENGTHS) => ({
  ...{ examplesPerTask: EXAMPLES, seed: 3, step, lengths },
});
const inputsOf = (step: number, lengths?: readonly number[]) =>
  new Map([
    ["coefficients", randomArray(2 * mergeableTensors(problem.bundle).length, 5, 0, 1)],
    ...stepInputs(problem.stores, new Map(), place(step, lengths)),
  ]);

describe("a step", () => {
  it("is padded to the smallest length that holds all its examples, and sees the same ones", () => {
    const found = Array.from({ length: 12 }, (_, step) => stepLength(problem.stores, place(step)));
    expect(new Set(found)).toEqual(new Set(LENGTHS));
    for (const [step, length = 0] of found.entries()) {
      const [own, longest] = [inputsOf(step), inputsOf(step, [16])];
      const words = (inputs: typeof own, row: number) => {
        const ids = inputs.get("input_ids") ?? expect.fail("words");
        return [...ids.subarray((row * ids.length) / 4, ((row + 1) * ids.length) / 4)];
      };
      for (let row = 0; row < 4; row++) {
        expect(words(own, row)).toEqual(words(longest, row).slice(0, length));
        expect(
          words(longest, row)
            .slice(length)
            .every((word) => word === 0),
        ).toBe(true);
      }
    }
    expect(longestLength(LENGTHS, problem.stores)).toBe(16);
    expect(longestLength(LENGTHS, new Map([["a", tinyTexts("a", [2, 7, 3], 2)]]))).toBe(8);
    expect(longestLength(undefined, problem.stores)).toBeUndefined();
  });

  it.each(["onnx", "tfjs"] as const)(
    "has the same losses and gradients whatever it is padded to (%s)",
    async (name) => {
      const { engine, lengths, binds } = noting(name === "onnx" ? onnx : eager);
      const [step, whole] = [await compiledStep(engine), await compiledStep(engine, tinyTextModel([16]))];
      expect(lengths).toEqual([]);
      for (let at = 0; at < 12; at++) {
        const [found, expected] = [await step.run(inputsOf(at)), await whole.run(inputsOf(at, [16]))];
        for (const output of ["task_losses", "gradient"])
          expect(relativeError(found.get(output) ?? [], expected.get(output) ?? [Number.NaN]), output).toBeLessThan(
            1e-6,
          );
      }
      // Each once, and one copy of the frozen tensors for all of a step's lengths.
      expect(lengths.toSorted((a, b) => a - b)).toEqual([...LENGTHS, 16]);
      expect(binds.filter((bound) => bound === "base/dense.weight")).toHaveLength(2);
      await step.close();
      await whole.close();
    },
  );

  it("in passes is the whole step", async () => {
    const [whole, parts] = [await compiledStep(onnx), await compiledStep(onnx, problem.model, 2)];
    for (const at of [0, 1, 2]) {
      const [a, b] = [await whole.run(inputsOf(at)), await parts.run(inputsOf(at))];
      expect(relativeError(b.get("gradient") ?? [], a.get("gradient") ?? [Number.NaN])).toBeLessThan(1e-5);
    }
    await Promise.all([whole.close(), parts.close()]);
  });

  it("says where it leaves the finite numbers", async () => {
    const options = { ...problem, examplesPerTask: EXAMPLES };
    const inputs = inputsOf(0);
    const row = mergeableTensors(problem.bundle).indexOf("dense.bias");
    inputs.get("coefficients")?.fill(Number.POSITIVE_INFINITY, 2 * row, 2 * row + 1);
    expect(await locateNonFinite({ engine: onnx, options, passes: 1 }, inputs, "texts")).toContain(
      "tensor dense.bias is not finite",
    );
    expect(await locateNonFinite({ engine: onnx, options, passes: 1 }, inputsOf(0))).toContain("all layers are finite");
  });

  it("takes memory for each length up to the longest in use", () => {
    const size = { model: problem.model, tasks: 2, examples: 1000, isHalf: false };
    const bytes = (longest?: number) => estimateStepBytes({ ...size, longest });
    expect(bytes()).toBe(bytes(16));
    expect(bytes(8) - bytes(4)).toBe(4 * 1000 * 8000);
    expect(bytes(16) - bytes(8)).toBe(4 * 1000 * 16_000);
  });
});

describe("a fit", () => {
  async function fitted(until: number, from?: TrainState): Promise<TrainState> {
    const step = await compiledStep(onnx);
    const parameters = problem.bundle.tensors.map(({ name }) => ({ name, part: "output" as const }));
    const options: TrainOptions = {
      objective: "entropy",
      ...{ step, tasks: problem.bundle.tasks, adaptedTasks: problem.bundle.tasks },
      grouping: groupTensors(parameters, { granularity: "layer-wise", groups: [], shareQkv: false }),
      ...{ constraint: { kind: "none" }, initial: 0.3, restartEvery: 0 },
      adam: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
      schedule: { schedule: "constant", learningRate: 0.05, warmupSteps: 0, steps: until },
      inputsAt: (at) => stepInputs(problem.stores, new Map(), place(at)),
      ...{ examples: "texts", imagesPerStep: 4, passesPerStep: 1, taskWeight: 1, evaluateEvery: 0, checkpointEvery: 0 },
      evaluate: async () => [],
      signal: new AbortController().signal,
      clock: () => 0,
    };
    const generator = train(options, from ?? initTrainState(options));
    for (;;) {
      const next = await generator.next();
      if (!next.done) continue;
      await step.close();
      return next.value.state;
    }
  }

  it("that is stopped and goes on, with its programs compiled in another order, is the same to the bit", async () => {
    const whole = await fitted(12);
    const resumed = await fitted(12, await fitted(5));
    expect([...resumed.rawKL]).toEqual([...whole.rawKL]);
    expect(resumed.adam).toEqual(whole.adam);
  });
});

describe("an evaluation", () => {
  it.each(["onnx", "tfjs"] as const)("is that of the examples one by one, in their order (%s)", async (name) => {
    const { model, heads, stores } = problem;
    const { engine, lengths, binds } = noting(name === "onnx" ? onnx : eager);
    const store = stores.get("longer") ?? expect.fail("texts");
    const [classifier, single] = [
      await createClassifier(engine, { model, heads, batchSize: 3 }),
      await createClassifier(engine, { model: tinyTextModel([16]), heads, batchSize: 1 }),
    ];
    for (const seed of [1, 2]) {
      await classifier.setWeights(tinyWeights(seed));
      await single.setWeights(tinyWeights(seed));
      const found = await classifier.taskLogits("longer", store);
      const expected: number[] = [];
      for (let index = 0; index < store.size; index++)
        expected.push(...(await single.taskLogits("longer", selectExamples(store, Uint32Array.of(index)))));
      expect(found).toHaveLength(expected.length);
      for (const [at, value] of found.entries()) expect(value).toBeCloseTo(expected[at] ?? Number.NaN, 5);
      const limited = await classifier.taskLogits("longer", store, { limit: 5 });
      for (const [at, value] of limited.entries()) expect(value).toBeCloseTo(expected[at] ?? Number.NaN, 5);
      expect(limited).toHaveLength(5 * 4);
    }
    expect(lengths.toSorted((a, b) => a - b)).toEqual([...LENGTHS, 16]);
    expect(binds.filter((bound) => bound === "weights/dense.weight")).toHaveLength(4);
    await classifier.close();
    await single.close();
  });
});

describe("the probes", () => {
  async function probeOf(engine: Engine, model: Model): Promise<ModelProbe> {
    const { heads, stores } = problem;
    const classifier = await createClassifier(engine, { model, heads, batchSize: 4 });
    const signal = new AbortController().signal;
    return createModelProbe(engine, { model, heads, classifier, signal, seed: 0, stores: async () => stores });
  }

  it("Gram matrices count every token once and no padding, as means over the tokens", async () => {
    const weights = tinyWeights(1);
    const store = problem.stores.get("longer") ?? expect.fail("texts");
    const table = weights.get("words.weight") ?? expect.fail("words");
    const expected = new Float64Array(36);
    let tokens = 0;
    for (const [index, length] of [...(store.lengths ?? [])].entries()) {
      const ids = store.gather(Uint32Array.of(index), length).get("input_ids") ?? expect.fail("words");
      for (const word of ids) {
        tokens += 1;
        for (let i = 0; i < 36; i++)
          expected[i] =
            (expected[i] ?? 0) + (table[word * 6 + Math.floor(i / 6)] ?? 0) * (table[word * 6 + (i % 6)] ?? 0);
      }
    }
    const names = problem.model.tensors.map(({ name }) => name);
    const probe = await probeOf(onnx, problem.model);
    const found = await probe.grams(1, weights, 100, names);
    // The layer that no feature uses has no inputs.
    expect([...found.keys()]).toEqual(["dense.weight", "out.weight"]);
    const own = found.get("dense.weight") ?? expect.fail("gram");
    expect(
      relativeError(
        own,
        expected.map((value) => value / tokens),
      ),
    ).toBeLessThan(1e-6);
    const whole = await (await probeOf(onnx, tinyTextModel([16]))).grams(1, weights, 100, names);
    for (const [name, gram] of whole) expect(relativeError(found.get(name) ?? [], gram), name).toBeLessThan(1e-6);
  });

  it.each(["onnx", "tfjs"] as const)(
    "Fisher information and the gradient of the entropy do not depend on lengths; what features do not use has none (%s)",
    async (name) => {
      const weights = tinyWeights(2);
      const engine = name === "onnx" ? onnx : eager;
      const [probe, whole] = [await probeOf(engine, problem.model), await probeOf(eager, tinyTextModel([16]))];
      for (const [found, expected] of [
        [await probe.fisher(1, weights, 6, 1), await whole.fisher(1, weights, 6, 1)],
        [await probe.entropyGradient(1, weights, 100), await whole.entropyGradient(1, weights, 100)],
      ] as const) {
        expect([...found.keys()]).toEqual(problem.model.tensors.map(({ name }) => name));
        for (const [tensor, values] of expected) {
          expect(
            values.some((value) => value !== 0),
            tensor,
          ).toBe(tensor !== "unused.weight");
          expect(relativeError(found.get(tensor) ?? [], values), tensor).toBeLessThan(1e-6);
        }
      }
    },
  );
});
