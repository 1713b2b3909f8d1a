/** A loss that is not finite: where the numbers went wrong, and what is kept. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import type { Executable } from "../../src/engine/program.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { NumericError } from "../../src/errors.js";
import { groupTensors } from "../../src/merge/groups.js";
import { mergeableTensors } from "../../src/merge/merged-weights.js";
import type { TrainEvent } from "../../src/optimize/events.js";
import { locateNonFinite, locateNonFiniteWeights } from "../../src/optimize/non-finite.js";
import { openParametrised } from "../../src/optimize/parametrisation/parametrised-weights.js";
import { scalar } from "../../src/optimize/parametrisation/scalar.js";
import { initTrainState, type TrainOptions, train } from "../../src/optimize/train.js";
import { initWeightState, trainWeights } from "../../src/optimize/train-weights.js";
import { loadProblem, type Problem } from "../conformance/problem.js";

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => onnx.close());
const IMAGES = 2;

let problem: Problem;
beforeAll(async () => {
  problem = await loadProblem();
});

/** The step's inputs with every coefficient 0.3, but for those of the tensors that end in a key of `changed`. */
function inputsWith(changed: Readonly<Record<string, number>>) {
  const names = mergeableTensors(problem.bundle);
  const tasks = problem.bundle.tasks.length;
  const coefficients = new Float32Array(names.length * tasks).fill(0.3);
  for (const [end, value] of Object.entries(changed)) {
    const rows = [...names.keys()].filter((row) => names[row]?.endsWith(end));
    expect(rows).toHaveLength(1);
    for (const row of rows) coefficients[row * tasks + 1] = value;
  }
  const pixels = problem.bundle.tasks.length * IMAGES * problem.config.imageSize ** 2 * 3;
  const images = Uint8Array.from({ length: pixels }, (_, at) => (at * 31) % 251);
  return new Map<string, Float32Array | Uint8Array>([
    ["coefficients", coefficients],
    ["images", images],
  ]);
}

const locate = (changed: Readonly<Record<string, number>>, passes = 1, engine = onnx) => {
  const options = { ...problem, examplesPerTask: IMAGES / passes };
  return locateNonFinite({ engine, options, passes }, inputsWith(changed), "images");
};
const everyTask = () => problem.heads.map(({ task }) => task).join(", ");

describe("locateNonFinite", () => {
  it("names the merged tensor that is not finite, and its coefficient", async () => {
    const tensor = "vision_model.encoder.layers.1.mlp.fc2.weight";
    expect(await locate({ "1.mlp.fc2.weight": -1e39 })).toBe(
      `the merged tensor ${tensor} is not finite; the largest coefficient there is -Infinity (task ${problem.bundle.tasks[1]}, ${tensor})`,
    );
  });

  it.each([
    ["the whole step", 1],
    ["two passes", 2],
  ])("names the first part whose output is not finite, in %s", async (_, passes) => {
    // Each factor is finite, their product is not.
    const changed = { "layers.1.mlp.fc1.weight": 1e22, "layers.1.mlp.fc2.weight": 1e22 };
    expect(await locate(changed, passes)).toMatch(
      new RegExp(
        `^the numbers are not finite from vision_model\\.encoder\\.layers\\.1\\.mlp on, for the images of ${everyTask()}; ` +
          `the largest coefficient there is 1\\.00e\\+22 \\(task ${problem.bundle.tasks[1]}, .*layers\\.1\\.mlp\\.fc1\\.weight\\)$`,
      ),
    );
    expect(
      await locate({ "layers.0.self_attn.out_proj.weight": 1e25, "layers.0.self_attn.v_proj.weight": 1e25 }),
    ).toMatch(/^the numbers are not finite from vision_model\.encoder\.layers\.0\.self_attn on/);
  });

  it("names the tasks whose images alone are concerned, and what is left when all layers are finite", async () => {
    const [head, ...others] = problem.heads;
    if (head === undefined) expect.fail("a head");
    const broken = { ...head, logitScale: 3e38, weight: head.weight.map(() => 100) };
    const options = { ...problem, heads: [...others, broken], examplesPerTask: IMAGES };
    expect(await locateNonFinite({ engine: onnx, options, passes: 1 }, inputsWith({}), "images")).toBe(
      `the numbers are not finite from the heads on, for the images of ${head.task}`,
    );
    expect(await locate({})).toBe("all layers are finite, the objective is not");
  });

  it("agrees with the eager engine", async () => {
    const eager = await createTfjsEngine("cpu");
    const changed = { "layers.1.mlp.fc1.weight": 1e22, "layers.1.mlp.fc2.weight": 1e22 };
    expect(await locate(changed, 1, eager)).toBe(await locate(changed));
    await eager.close();
  });
});

describe("locateNonFiniteWeights", () => {
  /** The experts' sum, with the tensors that end in a key of `changed` times its value. */
  const locateIn = async (changed: Readonly<Record<string, number>>, passes = 1) => {
    const weights = await openParametrised(problem.bundle, scalar);
    const merged = weights.arrays();
    await weights.merge(await weights.start(0.3), merged);
    for (const [end, value] of Object.entries(changed))
      for (const [name, values] of merged)
        if (name.endsWith(end)) for (const [at, weight] of values.entries()) values[at] = weight * value;
    const options = { ...problem, examplesPerTask: IMAGES / passes };
    const images = new Map([...inputsWith({})].filter(([name]) => name === "images"));
    return locateNonFiniteWeights({ engine: onnx, options, passes }, merged, images, "images");
  };

  it("names the merged tensor that is not finite", async () => {
    expect(await locateIn({ "layers.1.mlp.fc2.bias": Number.NaN })).toBe(
      "the merged tensor vision_model.encoder.layers.1.mlp.fc2.bias is NaN at element 0",
    );
  });

  it.each([1, 2])("names the first part whose output is not finite, in %d passes", async (passes) => {
    expect(await locateIn({ "layers.1.mlp.fc1.weight": 1e22, "layers.1.mlp.fc2.weight": 1e22 }, passes)).toBe(
      `the numbers are not finite from vision_model.encoder.layers.1.mlp on, for the images of ${everyTask()}`,
    );
    expect(await locateIn({}, passes)).toBe("all layers are finite, the objective is not");
  });
});

describe("a fit of weights", () => {
  const run = async (rate: number, nanAt?: string) => {
    const weights = await openParametrised(problem.bundle, scalar);
    const step: Executable = {
      bind: async () => {},
      close: async () => {},
      run: async () => {
        const gradients = mergeableTensors(problem.bundle).map((name): [string, Float32Array] => {
          const size = weights.arrays().get(name)?.length ?? 0;
          return [`gradient/weights/${name}`, new Float32Array(size).fill(name === nanAt ? Number.NaN : 1)];
        });
        return new Map([["task_losses", Float32Array.of(1, rate, 1)], ...gradients]);
      },
    };
    const events = trainWeights(
      {
        ...{ step, weights, title: "coefficients", tensors: mergeableTensors(problem.bundle) },
        adam: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
        schedule: { schedule: "constant", learningRate: 0.1, warmupSteps: 0, steps: 3 },
        ...{ objective: "entropy", adaptedTasks: problem.bundle.tasks, examples: "images" },
        ...{ imagesPerStep: 1, passesPerStep: 1, taskWeight: 1, evaluateEvery: 0, checkpointEvery: 0 },
        inputsAt: () => new Map(),
        evaluate: () => Promise.resolve({ scores: [], coefficients: [] }),
        locateNonFinite: async (merged) => `among ${merged.size} tensors`,
        signal: new AbortController().signal,
        clock: () => 0,
      },
      await initWeightState(weights, 0.3),
    );
    for (;;) {
      const next = await events.next();
      if (next.done) return next.value;
    }
  };

  it("names the place of a loss that is not finite, and the tensor of such a gradient", async () => {
    const count = mergeableTensors(problem.bundle).length;
    expect((await run(Number.NaN)).failure?.message).toBe(
      `step 1: the loss of task ${problem.bundle.tasks[1]} is NaN: among ${count} tensors. The last checkpoint is kept. Lower optimizer.learning_rate`,
    );
    const name = mergeableTensors(problem.bundle)[2] ?? "";
    expect((await run(1, name)).failure?.message).toBe(
      `step 1: the gradient of ${name} is NaN at element 0; what was learned until step 0 is kept`,
    );
    expect((await run(1)).failure).toBe(undefined);
  });
});

describe("a fit whose loss is NaN", () => {
  /** Losses and gradients of the given steps; the fourth loss of the second task is NaN. */
  const step: Executable = {
    bind: async () => {},
    close: async () => {},
    run: async (inputs) => {
      const at = Number(inputs.get("step")?.[0]);
      const losses = Float32Array.of(1, at === 3 ? Number.NaN : 2);
      return new Map([
        ["task_losses", losses],
        ["gradient", new Float32Array(4).fill(1)],
      ]);
    },
  };
  const options: TrainOptions = {
    step,
    tasks: ["a", "b"],
    grouping: groupTensors(
      ["x.weight", "y.weight"].map((name) => ({ name, part: "output" })),
      { granularity: "layer-wise", groups: [], shareQkv: false },
    ),
    constraint: { kind: "none" },
    initial: 0.5,
    restartEvery: 0,
    adam: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
    schedule: { schedule: "constant", learningRate: 0.1, warmupSteps: 0, steps: 10 },
    adaptedTasks: ["a", "b"],
    inputsAt: (index) => new Map([["step", Float32Array.of(index)]]),
    examples: "images",
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

  async function run(changes: Partial<TrainOptions>) {
    const all = { ...options, ...changes };
    const events: TrainEvent[] = [];
    const generator = train(all, initTrainState(all));
    for (;;) {
      const next = await generator.next();
      if (next.done) return { events, ...next.value };
      events.push(next.value);
    }
  }

  it("stops, names step, task and place, and keeps the coefficients whose loss was finite", async () => {
    const seen: number[] = [];
    const { events, state, reason, failure } = await run({
      locateNonFinite: async (inputs) => {
        seen.push(...(inputs.get("step") ?? []));
        return "from here on";
      },
    });
    expect(reason).toBe("failed");
    expect(failure).toBeInstanceOf(NumericError);
    expect(failure?.message).toBe(
      "step 4: the loss of task b is NaN: from here on. The coefficients of step 2 are kept. Lower optimizer.learning_rate or clamp the coefficients",
    );
    expect(seen).toEqual([3]);
    // Step 4 judged the coefficients of step 3; those of step 2 had a finite loss in step 3.
    expect(state.step).toBe(2);
    expect(state.rawKL[0]).toBeCloseTo(0.5 - 2 * 0.1, 5);
    const checkpoints = events.flatMap((event) => (event.type === "checkpoint" ? event.step : []));
    expect(checkpoints).toEqual([2]);
  });

  it("stops as clearly when the place cannot be found", async () => {
    const { failure, state } = await run({
      locateNonFinite: () => Promise.reject(new Error("no memory")),
    });
    expect(failure?.message).toMatch(
      /^step 4: the loss of task b is NaN: the layer was not found \(no memory\)\. The coef/,
    );
    expect(state.step).toBe(2);
  });

  it("keeps the first coefficients when their own loss is NaN", async () => {
    const { failure, state, events } = await run({ inputsAt: () => new Map([["step", Float32Array.of(3)]]) });
    expect(failure?.message).toMatch(/^step 1: the loss of task b is NaN\. The coefficients of step 0 are kept/);
    expect([...state.rawKL]).toEqual([0.5, 0.5, 0.5, 0.5]);
    expect(events.map(({ type }) => type)).toEqual(["start", "end"]);
  });

  it("keeps the coefficients under judgement when their loss is finite and only the gradient is not", async () => {
    const nan: Executable = {
      ...step,
      run: async (inputs) => {
        const gradient = new Float32Array(4).fill(1);
        if (inputs.get("step")?.[0] === 2) gradient[3] = Number.POSITIVE_INFINITY;
        return new Map([
          ["task_losses", Float32Array.of(1, 2)],
          ["gradient", gradient],
        ]);
      },
    };
    const { failure, state } = await run({ step: nan });
    expect(failure?.message).toBe(
      "step 3: the gradient of task b at tensor y.weight is Infinity; the coefficients of step 2 are kept",
    );
    expect(state.step).toBe(2);
  });
});
