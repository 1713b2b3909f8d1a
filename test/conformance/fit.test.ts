/**
 * Fifty steps of the trainer on the same bundle and batches as a straightforward float32 PyTorch loop with torch.optim.Adam:
 * coefficients within 1e-4, rows whose exact gradient is zero apart. The onnx engine with the presets `paper`, layer-wise and
 * task-wise, and `fusionbench`; only the learning rate is the fixtures' own, so that coefficients leave 0..1.
 */
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadRunConfig } from "../../src/config/load.js";
import type { RunConfig } from "../../src/config/schema.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import type { Engine } from "../../src/engine/program.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { groupMergeable } from "../../src/merge/groups.js";
import { objectives } from "../../src/objective/objectives.js";
import type { TrainEvent } from "../../src/optimize/events.js";
import { stepProgram, stepSources } from "../../src/optimize/step-program.js";
import { initTrainState, type TrainOptions, type TrainResult, train } from "../../src/optimize/train.js";
import { constraintOf } from "../../src/run/records/records.js";
import { withBaseProjection } from "../../src/run/session/inputs.js";
import { FASTER_TFJS_BACKENDS } from "../support/tfjs-backends.js";
import { CONFORMANCE, type FixtureArrays, readFixture } from "./fixture.js";
import { loadProblem, type Problem } from "./problem.js";

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

/** The settings of a preset with the learning rate, length and separate query, key and value of the fixtures. */
async function presetConfig(preset: string, granularity: string): Promise<RunConfig> {
  const presetsDir = join(CONFORMANCE, "..", "..", "configs", "presets");
  const own = ["suite=.", "optimizer.learning_rate=1e-2", `steps=${STEPS}`, "share_qkv=false"];
  const overrides = [...own, `granularity=${granularity}`];
  const file = join(presetsDir, `${preset}.yaml`);
  return (await loadRunConfig(file, overrides, { presetsDir, cwd: CONFORMANCE })).config;
}

async function fitOptions(
  engine: Engine,
  problem: Problem,
  fixture: FixtureArrays,
  config: RunConfig,
): Promise<TrainOptions> {
  const bundle = config.merge_projection ? problem.bundle : withBaseProjection(problem.bundle, problem.model);
  const step = await engine.compile(
    stepProgram({
      ...problem,
      bundle,
      examplesPerTask: IMAGES_PER_TASK,
      taskWeight: 1,
      loss: (logits) => objectives.entropy.loss(logits, config.objective),
    }),
  );
  await step.bind(stepSources({ ...problem, bundle }));
  const { granularity, share_qkv: shareQkv, optimizer, steps } = config;
  const { schedule, learning_rate: learningRate, warmup_steps: warmupSteps, weight_decay: weightDecay } = optimizer;
  const tasks = bundle.tasks;
  return {
    step,
    tasks,
    grouping: groupMergeable(bundle, problem.model, { granularity, groups: [], shareQkv }),
    constraint: constraintOf(config),
    initial: config.coefficients.initial,
    restartEvery: 0,
    adam: { ...optimizer, weightDecay },
    schedule: { schedule, learningRate, warmupSteps, steps },
    adaptedTasks: tasks,
    inputsAt: (index) => new Map([["images", imagesAt(fixture, tasks, index)]]),
    examples: "images",
    imagesPerStep: tasks.length * IMAGES_PER_TASK,
    passesPerStep: 1,
    objective: "entropy",
    taskWeight: 1,
    evaluateEvery: 0,
    checkpointEvery: 0,
    evaluate: async () => [],
    signal: new AbortController().signal,
    clock: () => performance.now(),
  };
}

/** The last recorded coefficients of the fixture as a function of a group's name and a task; rows are the groups in the fixture's order. */
function expectedCoefficients(fixture: FixtureArrays, prefix: string, groups: readonly string[], tasks: number) {
  const all = fixture.floats(`${prefix}.f32.lambda`);
  const last = all.subarray(all.length - groups.length * tasks);
  expect(all.length).toBe((STEPS / RECORD_EVERY) * last.length);
  return (group: string, task: number): number => last[groups.indexOf(group) * tasks + task] ?? Number.NaN;
}

const engines: readonly (readonly [string, () => Promise<Engine>])[] = [
  ["onnx", async () => onnx],
  ...FASTER_TFJS_BACKENDS.map((backend) => [`tfjs-${backend}`, () => createTfjsEngine(backend)] as const),
];

describe.each(engines)("fifty steps equal PyTorch's on %s", (_, open) => {
  it.each([
    ["paper", "layer-wise", "layer", "fit.safetensors"],
    ["paper", "task-wise", "task", "fit.safetensors"],
    ["fusionbench", "layer-wise", "layer", "fit-fusionbench.safetensors"],
  ])("%s, %s", async (preset, granularity, prefix, file) => {
    const problem = await loadProblem();
    const fixture = await readFixture(`adam/${file}`);
    const options = await fitOptions(
      await open(),
      problem,
      await readFixture("adam/fit.safetensors"),
      await presetConfig(preset, granularity),
    );
    const events = train(options, initTrainState(options));
    const losses: number[] = [];
    let next: IteratorResult<TrainEvent, TrainResult> = await events.next();
    while (!next.done) {
      if (next.value.type === "step") losses.push(...next.value.taskLosses);
      next = await events.next();
    }
    await options.step.close();
    const expectedLosses = fixture.floats(`${prefix}.f32.losses`);
    expect(losses.length).toBe(STEPS * options.tasks.length);
    expect(
      Math.max(...losses.map((loss, index) => Math.abs(loss - (expectedLosses[index] ?? Number.NaN)))),
    ).toBeLessThan(1e-4);

    const { groups } = options.grouping;
    const { tensors, withoutEffect } = problem.description;
    const rows = prefix === "task" ? groups : tensors.filter((name) => groups.includes(name));
    expect(rows.length).toBe(groups.length);
    const expected = expectedCoefficients(fixture, prefix, rows, options.tasks.length);
    const { rawKL } = next.value.state;
    const differences = groups.flatMap((group, row) =>
      withoutEffect.includes(group)
        ? []
        : options.tasks.map((_, task) =>
            Math.abs((rawKL[task * groups.length + row] ?? Number.NaN) - expected(group, task)),
          ),
    );
    expect(differences.length).toBeGreaterThan(0);
    expect(Math.max(...differences)).toBeLessThan(1e-4);
  });
});
