/**
 * Fine-tuning from the outside: resuming to the bit, what is kept after a loss that is not finite, and what is refused.
 */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { readSafetensorsHeader } from "../../../src/checkpoint/safetensors.js";
import { createOnnxEngine } from "../../../src/engine/onnx-engine.js";
import type { Engine, Executable } from "../../../src/engine/program.js";
import { createTfjsEngine } from "../../../src/engine/tfjs-engine.js";
import { CheckpointError, ConfigError, DataError, NumericError } from "../../../src/errors.js";
import type { FineTuned, FineTuneStepEvent, FineTuning } from "../../../src/optimize/fine-tune/options.js";
import { removeFineTuneState } from "../../../src/optimize/fine-tune/state.js";
import { relativeError } from "../../support/random.js";
import { tinyTraining, trainToEnd } from "./tiny-training.js";

const STEPS = 5;

const engine = createOnnxEngine({ provider: "cpu", threads: 1 });
const folder = await mkdtemp(join(tmpdir(), "adamerge-fine-tune-"));
const path = join(folder, "deep", "state.safetensors");
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => removeFineTuneState(path));

const options = await tinyTraining(engine, STEPS);
const state = { path, everySteps: 2 };

/** Of weights, heads and progress. */
function digest({ tensors, heads, step, loss }: FineTuned): string {
  const hash = createHash("sha256").update(JSON.stringify([step, loss, [...tensors.keys()]]));
  for (const values of tensors.values()) hash.update(values);
  for (const { weight, bias } of heads) hash.update(weight).update(bias);
  return hash.digest("hex");
}

const stepsOf = (events: readonly { readonly type: string }[]) =>
  events.filter((event): event is FineTuneStepEvent => event.type === "step");

/** Aborts after the step and then trains on. */
async function interrupted(given: FineTuning, after: number) {
  const abort = new AbortController();
  const first = await trainToEnd({ ...given, state, signal: abort.signal }, (event) => {
    if (event.type === "step" && event.step === after) abort.abort();
  });
  return { first, rest: await trainToEnd({ ...given, state }) };
}

describe("resuming", async () => {
  const whole = await trainToEnd(options);

  it.each([1, 2, 3, 4, 5])("equals a training that was not stopped, after an abort at step %i", async (after) => {
    const { first, rest } = await interrupted(options, after);
    expect(first.result).toMatchObject({ step: after, reason: after === STEPS ? "finished" : "interrupted" });
    expect(rest.result.reason).toBe("finished");
    expect(stepsOf(rest.events).map(({ step }) => step)).toEqual([1, 2, 3, 4, 5].slice(after));
    expect(digest(rest.result)).toBe(digest(whole.result));
  });

  it("equals it with trained heads too", async () => {
    const trained = { ...options, trainHeads: true };
    const { rest } = await interrupted(trained, 3);
    const all = await trainToEnd(trained);
    expect(digest(rest.result)).toBe(digest(all.result));
    expect(all.result.heads[0]?.weight).not.toEqual(options.tasks[0]?.head.weight);
  });

  it("goes on from the last state when it was killed, not aborted", async () => {
    await expect(
      trainToEnd({ ...options, state }, (event) => {
        if (event.type === "step" && event.step === 4) throw new Error("killed");
      }),
    ).rejects.toThrow("killed");
    const { events, result } = await trainToEnd({ ...options, state });
    expect(events[0]).toMatchObject({ type: "start", step: 2 });
    expect(digest(result)).toBe(digest(whole.result));
  });

  it("learns the same in two passes but for rounding, and goes on with no other number of them", async () => {
    const inTwo = await trainToEnd({ ...options, passes: 2 });
    for (const [index, step] of stepsOf(inTwo.events).entries()) {
      const own = stepsOf(whole.events)[index];
      expect(
        step.taskLosses.map((loss, at) => Math.abs(loss - (own?.taskLosses[at] ?? 0))).every((apart) => apart < 1e-5),
      ).toBe(true);
      expect(step.gradientNorm).toBeCloseTo(own?.gradientNorm ?? 0, 4);
    }
    // A key's bias has no gradient but rounding.
    for (const [name, values] of inTwo.result.tensors)
      if (!name.endsWith("key.bias"))
        expect(relativeError(values, whole.result.tensors.get(name) ?? []), name).toBeLessThan(1e-4);
    await trainToEnd({ ...options, state });
    await expect(trainToEnd({ ...options, passes: 2, state })).rejects.toThrow(
      /another training's \(passes of a step\)/,
    );
  });

  it("learns, in steps of both lengths, without a change to what it was given or froze", () => {
    const steps = stepsOf(whole.events);
    expect(new Set(steps.map(({ length }) => length))).toEqual(new Set([16, 20]));
    expect(steps.at(-1)?.loss).toBeLessThan((steps[0]?.loss ?? 0) / 1.2);
    expect([...whole.result.tensors.keys()].every((name) => name.startsWith("encoder."))).toBe(true);
    expect(whole.result.heads[0]?.weight).toEqual(options.tasks[0]?.head.weight);
    for (const [name, values] of whole.result.tensors) expect(values).not.toEqual(options.weights.get(name));
  });
});

/** An engine whose programs compute NaN in one output, from step `from` on. */
function breaking(output: string, from: number): Engine {
  let runs = 0;
  return {
    ...engine,
    compile: async (program, beside) => {
      const executable = await engine.compile(program, beside);
      const plain = executable.run;
      const run: Executable["run"] = async (inputs, into) => {
        const outputs = await plain(inputs, into);
        runs += 1;
        if (runs >= from) outputs.get(output)?.fill(Number.NaN, 0, 1);
        return outputs;
      };
      return Object.assign(executable, { run });
    },
  };
}

it.each([
  { output: "losses", found: "the loss of task many is NaN", kept: "The state of step 2 is kept" },
  {
    output: "gradient/weights/encoder.layer.1.output.dense.weight",
    found: "the gradient of encoder.layer.1.output.dense.weight is not finite",
    kept: "The state of step 3 is kept",
  },
])("NaN in $output is an error that names the step, and the last good state stays", async ({ output, found, kept }) => {
  const broken = { ...options, engine: breaking(output, 4), state: { path, everySteps: 1 } };
  const failure = trainToEnd(broken);
  await expect(failure).rejects.toThrow(NumericError);
  await expect(failure).rejects.toThrow(`step 4: ${found}. ${kept}. Lower the learning rate`);
  const { metadata } = await readSafetensorsHeader(path);
  expect(kept).toContain(` ${JSON.parse(metadata.get("state") ?? "{}").step} `);
});

it("a learning rate that is far too high ends in that error", async () => {
  const far = { ...options, schedule: { ...options.schedule, learningRate: 1e30 } };
  await expect(trainToEnd(far)).rejects.toThrow(/^step [23]: the (?:loss|gradient) of .*Nothing was kept/);
});

it("refuses the state of another training, and says what differs", async () => {
  await interrupted(options, 2);
  const other = { ...options, seed: 8, schedule: { ...options.schedule, learningRate: 1e-3 }, state };
  await expect(trainToEnd(other)).rejects.toThrow(/state\.safetensors: .*another training's \(schedule, seed\)/);
  await expect(trainToEnd(other)).rejects.toThrow(ConfigError);
});

it("refuses a damaged state", async () => {
  await interrupted(options, 2);
  await writeFile(path, (await readFile(path)).subarray(0, 5000));
  await expect(trainToEnd({ ...options, state })).rejects.toThrow(CheckpointError);
});

it("refuses patterns without a tensor, nothing to train, and labels without a class", async () => {
  await expect(trainToEnd({ ...options, freeze: ["embedings.*"] })).rejects.toThrow(/freeze\.0: expected a pattern/);
  await expect(trainToEnd({ ...options, freeze: ["*"] })).rejects.toThrow(/found 0 trained tensors/);
  const [task] = options.tasks;
  if (task === undefined) throw new Error("no task");
  const labels = Int32Array.from(task.store.labels);
  labels[4] = 3;
  const bad = trainToEnd({ ...options, tasks: [{ ...task, store: { ...task.store, labels } }] });
  await expect(bad).rejects.toThrow(/task many: .*found 3 at example 4/);
  await expect(bad).rejects.toThrow(DataError);
});

it("is the same on the eager engine, tables of words trained as well", async () => {
  const { freeze: _, ...all } = options;
  const short = { ...all, schedule: { ...options.schedule, steps: 3 } };
  const [ours, eager] = [
    await trainToEnd(short),
    await trainToEnd({ ...short, engine: await createTfjsEngine("cpu") }),
  ];
  expect(ours.result.tensors.size).toBe(options.model.tensors.length);
  for (const [name, values] of ours.result.tensors)
    if (!/key\.bias$/.test(name))
      expect(relativeError(values, eager.result.tensors.get(name) ?? []), name).toBeLessThan(1e-4);
});
