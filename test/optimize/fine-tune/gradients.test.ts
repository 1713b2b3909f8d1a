/**
 * The gradients of the text step against central differences of its own loss, at the steepest weight of every tensor:
 * tables, norms, layers, heads.
 */
import { afterAll, expect, it } from "vitest";
import { createOnnxEngine } from "../../../src/engine/onnx-engine.js";
import type { TensorValues } from "../../../src/engine/program.js";
import { headSources } from "../../../src/model/head-program.js";
import { fineTuneBatch } from "../../../src/optimize/fine-tune/batches.js";
import { fineTuneProgram } from "../../../src/optimize/fine-tune-program.js";
import { gradientName, weightSources } from "../../../src/optimize/step-program.js";
import { tinyTraining } from "./tiny-training.js";

const WIDTH = 4e-3;
/** Relative to the slope: what float32 leaves of a difference of losses at this width. */
const TOLERANCE = 1e-2;
/** Its exact gradient is 0. */
const WITHOUT_EFFECT = /key\.bias$/;

const engine = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => engine.close());

it("has the slope of the loss in one weight of every tensor", async () => {
  const { model, tasks, weights, ...options } = await tinyTraining(engine, 1);
  const batch = fineTuneBatch({ model, tasks, ...options }, 1);
  const executable = await engine.compile(
    fineTuneProgram({
      ...{ model, labelSmoothing: 0.1, logitScale: 1, trainHeads: true, length: batch.length },
      trained: new Set(model.tensors.map(({ name }) => name)),
      tasks: tasks.map(({ name, head, examplesPerStep }) => ({
        ...{ name, head, classes: head.classes, images: examplesPerStep },
      })),
    }),
  );
  const sources = new Map([...weightSources(model, weights), ...headSources(tasks.map(({ head }) => head))]);
  await executable.bind(sources);
  const outputs = await executable.run(batch.inputs);
  const lossWith = async (name: string, values: TensorValues): Promise<number> => {
    await executable.bind(new Map([[name, { kind: "memory", values }]]));
    const losses = (await executable.run(batch.inputs)).get("losses") ?? [];
    return ((losses[0] ?? Number.NaN) * 4 + (losses[1] ?? Number.NaN) * 2) / 6;
  };
  let compared = 0;
  for (const [name, source] of sources) {
    if (source.kind !== "memory" || WITHOUT_EFFECT.test(name)) continue;
    const gradient = outputs.get(gradientName(name)) ?? new Float32Array();
    const steepest = gradient.reduce(
      (best, slope, at) => (Math.abs(slope) > Math.abs(gradient[best] ?? 0) ? at : best),
      0,
    );
    const slope = gradient[steepest] ?? Number.NaN;
    const moved = (by: number) => source.values.map((value, at) => (at === steepest ? value + by : value));
    const found = ((await lossWith(name, moved(WIDTH))) - (await lossWith(name, moved(-WIDTH)))) / (2 * WIDTH);
    await executable.bind(new Map([[name, source]]));
    expect(Math.abs(found - slope), name).toBeLessThan(TOLERANCE * Math.abs(slope) + 1e-4);
    compared += 1;
  }
  await executable.close();
  expect(compared).toBe(model.tensors.length - 2 + 4);
});
