/**
 * Fifty steps of the trainer on the same bundle and batches as a straightforward float32 PyTorch loop with torch.optim.Adam:
 * coefficients within 1e-4, rows whose exact gradient is zero apart. The onnx engine, layer-wise and task-wise.
 */
import { afterAll, describe, expect, it } from "vitest";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import { groupTensors } from "../../src/merge/groups.js";
import { mergeableTensors } from "../../src/merge/merged-weights.js";
import { objectives } from "../../src/objective/objectives.js";
import type { TrainEvent } from "../../src/optimize/events.js";
import { STEP_INPUT_IMAGES, stepProgram, stepSources } from "../../src/optimize/step-program.js";
import { initTrainState, type TrainOptions, type TrainResult, train } from "../../src/optimize/train.js";
import { type FixtureArrays, readFixture } from "./fixture.js";
import { loadProblem, type Problem, toBundleOrder } from "./problem.js";

const STEPS = 50;
const IMAGES_PER_TASK = 6;
const RECORD_EVERY = 10;

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => onnx.close());

/** The images that PyTorch saw at `step`. */
function imagesAt(fixture: FixtureArrays, tasks: readonly string[], step: number): Uint8Array {
  const size = 32 * 32 * 3;
  const indices = fixture.ints("indices");
  const images = new Uint8Array(tasks.length * IMAGES_PER_TASK * size);
  tasks.forEach((task, taskIndex) => {
    const pixels = fixture.bytes(`pixels.${task}`);
    for (let image = 0; image < IMAGES_PER_TASK; image++) {
      const position = taskIndex * IMAGES_PER_TASK + image;
      const source = indices[step * tasks.length * IMAGES_PER_TASK + position] ?? 0;
      images.set(pixels.subarray(source * size, (source + 1) * size), position * size);
    }
  });
  return images;
}

async function fitOptions(
  problem: Problem,
  fixture: FixtureArrays,
  granularity: "layer-wise" | "task-wise",
): Promise<TrainOptions> {
  const step = await onnx.compile(
    stepProgram({
      ...problem,
      imagesPerTask: IMAGES_PER_TASK,
      taskWeight: 1,
      loss: (logits) => objectives.entropy.loss(logits, { form: "log_softmax", epsilon: 1e-8 }),
    }),
  );
  await step.bind(stepSources(problem));
  const tasks = problem.bundle.tasks;
  return {
    step,
    tasks,
    grouping: groupTensors(mergeableTensors(problem.bundle), { granularity, groups: [], shareQkv: false }),
    constraint: { kind: "clamp", min: 0, max: 1 },
    initial: 0.3,
    restartEvery: 0,
    adam: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
    schedule: { schedule: "constant", learningRate: 1e-2, warmupSteps: 0, steps: STEPS },
    adaptedTasks: tasks,
    inputsAt: (index) => new Map([[STEP_INPUT_IMAGES, imagesAt(fixture, tasks, index)]]),
    imagesPerStep: tasks.length * IMAGES_PER_TASK,
    passesPerStep: 1,
    taskWeight: 1,
    evaluateEvery: 0,
    checkpointEvery: 0,
    evaluate: async () => [],
    signal: new AbortController().signal,
    clock: () => performance.now(),
  };
}

/** The last recorded coefficients [G, K] of the fixture, in our order. */
function expectedCoefficients(fixture: FixtureArrays, problem: Problem, prefix: string): Float64Array {
  const all = fixture.floats(`${prefix}.f32.lambda`);
  const records = STEPS / RECORD_EVERY;
  const last = all.subarray(((records - 1) * all.length) / records);
  return prefix === "layer" ? toBundleOrder(last, problem) : last;
}

describe("fifty steps equal PyTorch's", () => {
  it.each([
    ["layer-wise", "layer"],
    ["task-wise", "task"],
  ] as const)("%s", async (granularity, prefix) => {
    const problem = await loadProblem();
    const fixture = await readFixture("adam/fit.safetensors");
    const options = await fitOptions(problem, fixture, granularity);
    const events = train(options, initTrainState(options));
    const losses: number[] = [];
    let next: IteratorResult<TrainEvent, TrainResult> = await events.next();
    while (!next.done) {
      if (next.value.type === "step") losses.push(...next.value.taskLossNats);
      next = await events.next();
    }
    await options.step.close();
    const expectedLosses = fixture.floats(`${prefix}.f32.losses`);
    expect(losses.length).toBe(STEPS * options.tasks.length);
    expect(Math.max(...losses.map((loss, index) => Math.abs(loss - (expectedLosses[index] ?? 0))))).toBeLessThan(1e-4);

    const tasks = options.tasks.length;
    const groups = options.grouping.groups;
    const expected = expectedCoefficients(fixture, problem, prefix);
    const differences = groups.flatMap((group, row) =>
      problem.description.withoutEffect.includes(group)
        ? []
        : options.tasks.map((_, task) =>
            Math.abs(
              ((next.done ? next.value.state.rawKL : new Float64Array())[task * groups.length + row] ?? Number.NaN) -
                (expected[row * tasks + task] ?? 0),
            ),
          ),
    );
    expect(differences.length).toBeGreaterThan(0);
    expect(Math.max(...differences)).toBeLessThan(1e-4);
  });
});
