/**
 * A fit that is stopped and resumed ends with the bits of one that was not: for a stop after every step, for damaged
 * checkpoints, and not for changed inputs.
 */
import { appendFile, cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadRunConfig } from "../../../src/config/load.js";
import type { TrainEvent } from "../../../src/optimize/events.js";
import { fit } from "../../../src/run/fit/fit.js";
import { stoppedRun } from "../../../src/run/fit/fit-folder.js";
import { readTrainCheckpoint } from "../../../src/track/checkpoints.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";

const STEPS = 6;
const OVERRIDES = [
  "tasks=[mnist, letters]",
  "data.eval_limit=20",
  "data.batch_size=2",
  "data.batches_per_task=1",
  "data.eval_every=2",
  "checkpoint_every=2",
  `steps=${STEPS}`,
  "optimizer.learning_rate=0.05",
  "optimizer.schedule=cosine",
  "save_model=false",
];
let folder: string;

const options = (signal: AbortSignal, onEvent: (event: TrainEvent) => void = () => {}) => {
  const lines: string[] = [];
  return {
    cacheDir: join(folder, "cache"),
    signal,
    overwrite: false,
    onEvent,
    log: (line: string) => lines.push(line),
    lines,
  };
};
const never = () => new AbortController().signal;

async function start(name: string, stopAfter?: number, overrides: readonly string[] = []) {
  const { config } = await loadRunConfig(
    join(ROOT, "configs", "mini8.yaml"),
    [...OVERRIDES, ...overrides, `name=${name}`, `output=${join(folder, "runs")}`],
    { cwd: folder, presetsDir: join(ROOT, "configs", "presets") },
  );
  const abort = new AbortController();
  return fit(
    config,
    options(abort.signal, (event) => {
      if (event.type === "step" && event.step === stopAfter) abort.abort();
    }),
  );
}

async function goOn(runPath: string) {
  const work = options(never());
  const { config } = await stoppedRun(runPath);
  return { result: await fit(config, { ...work, resume: runPath }), lines: work.lines };
}

/** What a run learned and logged, without the times. */
async function outcome(runPath: string) {
  const lines = (await readFile(join(runPath, "metrics.jsonl"), "utf8")).trim().split("\n");
  const metrics = lines.map((line) => {
    const { time: _time, "time/images_per_second": _speed, ...values } = JSON.parse(line);
    return values;
  });
  const text = (name: string) => readFile(join(runPath, name), "utf8");
  const checkpoint = await readTrainCheckpoint(join(runPath, "checkpoints"), () => {});
  return {
    metrics,
    coefficients: await text("coefficients.json"),
    predictions: await text("predictions.json"),
    mean: checkpoint?.state.adam.mean,
    meanSquare: checkpoint?.state.adam.meanSquare,
  };
}

let whole: Awaited<ReturnType<typeof outcome>>;
beforeAll(async () => {
  folder = await temporaryFolder();
  const { runPath } = await start("whole");
  whole = await outcome(runPath);
});

describe("resume", () => {
  it.each([1, 2, 3, 4, 5])(
    "after step %d: the same coefficients, moments, metrics and predictions to the bit",
    async (step) => {
      const stopped = await start(`stop-${step}`, step);
      expect(stopped.reason).toBe("interrupted");
      expect(await readdir(stopped.runPath)).not.toContain("run.lock");
      const { result, lines } = await goOn(stopped.runPath);
      expect(result.reason).toBe("finished");
      expect(lines.join("\n")).toContain(`goes on after step ${step} of ${STEPS}`);
      expect(await outcome(stopped.runPath)).toEqual(whole);
      expect((await readdir(join(stopped.runPath, "checkpoints"))).sort()).toHaveLength(2);
    },
  );

  it("after a restart from the merged model too", async () => {
    const restarting = ["coefficients.restart_every=2", "coefficients.constraint=none", "coefficients.min=-1"];
    const straight = await start("restarting", undefined, restarting);
    const stopped = await start("restarting-stopped", 3, restarting);
    await goOn(stopped.runPath);
    expect(await outcome(stopped.runPath)).toEqual(await outcome(straight.runPath));
    expect((await outcome(straight.runPath)).coefficients).not.toBe(whole.coefficients);
  });

  it("of sharpness-aware steps too", async () => {
    const own = ["optimizer.sam.rho=0.1", "optimizer.sam.adaptive=true", "objective.name=pseudo_label"];
    const straight = await outcome((await start("sam", undefined, own)).runPath);
    const stopped = await start("sam-stopped", 3, own);
    await goOn(stopped.runPath);
    expect(await outcome(stopped.runPath)).toEqual(straight);
    const plain = await outcome((await start("sam-plain", undefined, own.slice(2))).runPath);
    expect(plain.coefficients).not.toBe(straight.coefficients);
  });

  it("a finished run has nothing left to do", async () => {
    const { finished } = await stoppedRun(join(folder, "runs", "mini8", "whole"));
    expect(finished?.rows.map(({ method }) => method)).toContain("adamerging_layer_wise");
  });

  it.each(["rows_columns"])("after a stop with %s too", async (parametrisation) => {
    const own = [`parametrisation=${parametrisation}`, "optimizer.learning_rate=0.001"];
    const straight = await outcome((await start(`${parametrisation}-whole`, undefined, own)).runPath);
    const stopped = await start(`${parametrisation}-stopped`, 3, own);
    expect(stopped.reason).toBe("interrupted");
    await goOn(stopped.runPath);
    expect(straight.mean?.some((value) => value !== 0)).toBe(true);
    expect(await outcome(stopped.runPath)).toEqual(straight);
  });

  describe("in stages", () => {
    const stages = [
      "{parametrisation: scalar, steps: 3, learning_rate: 0.05}",
      "{parametrisation: rows, steps: 2, learning_rate: 0.01, objective: {name: expert_divergence}}",
      "{parametrisation: all_weights, steps: 2, learning_rate: 0.0001, schedule: constant}",
    ];
    const own = [`stages=[${stages.join(", ")}]`];
    const text = (runPath: string, name: string) => readFile(join(runPath, name), "utf8");
    let straight: Awaited<ReturnType<typeof outcome>>;
    let shown: Readonly<Record<"card" | "report", string>>;
    beforeAll(async () => {
      const { runPath } = await start("stages-whole", undefined, own);
      straight = await outcome(runPath);
      shown = { card: await text(runPath, "README.md"), report: await text(runPath, "report.html") };
    });

    it("each begins where the former ended, and metrics say which it is", async () => {
      const steps = straight.metrics.filter((line) => "train/loss" in line);
      expect(steps.map((line) => [line.step, line["train/stage"]])).toEqual(
        [1, 1, 1, 2, 2, 3, 3].map((stage, index) => [index + 1, stage]),
      );
      expect(Object.keys(steps[0] ?? {})).toContain("train/entropy/mnist");
      expect(Object.keys(steps[3] ?? {})).toContain("train/expert_divergence/mnist");
      expect(straight.metrics.filter((line) => "eval/acc" in line).map(({ step }) => step)).toEqual([0, 2, 4, 6, 7]);
      // The learning rate of a cosine over three steps, and of one over two that begins anew.
      const rates = steps.map((line) => line["train/learning_rate"]);
      expect(rates[3]).toBe(0.01);
      expect(rates[5]).toBe(0.0001);
      // The first stage alone is a fit of its own.
      const alone = await outcome((await start("stage-alone", undefined, ["steps=3"])).runPath);
      const losses = (of: typeof straight) => of.metrics.map((line) => line["train/loss"]).filter((loss) => loss > 0);
      expect(losses(straight).slice(0, 3)).toEqual(losses(alone));
      expect(JSON.parse(straight.coefficients).nearest.parametrisation).toBe("scalar then rows then all_weights");
    });

    it("the model card lists them, and the report says where they begin", () => {
      expect(shown.card).toMatch(
        /Learned in 3 stages[^\n]*\n\n1\. .*coefficients, .* 3 steps .*\n2\. The coefficients of output rows .* change the weights of the former stage, .* 2 steps .*0\.01.*\n3\. The merged weights /,
      );
      expect(shown.card).toContain("layer_wise_then_rows_then_all_weights");
      expect(shown.report).toContain("Vertical lines: stage 2: rows from step 4, stage 3: all_weights from step 6.");
      expect(shown.report).toMatch(/coefficients, then coefficients of output rows, then merged weights in 3 stages/);
    });

    it.each([3, 4, 6])("after a stop after step %d", async (step) => {
      const stopped = await start(`stages-${step}`, step, own);
      expect(stopped.reason).toBe("interrupted");
      const { lines } = await goOn(stopped.runPath);
      expect(lines.join("\n")).toContain(
        `goes on after step ${step} of 7 (stage ${step <= 3 ? 1 : step <= 5 ? 2 : 3} of 3)`,
      );
      expect(await outcome(stopped.runPath)).toEqual(straight);
    });

    it("of coefficients alone stay coefficients", async () => {
      const scalar = ["stages=[{steps: 3}, {steps: 2, objective: {name: expert_divergence}}]"];
      const { runPath } = await start("stages-scalar", undefined, scalar);
      const found = await outcome(runPath);
      expect(JSON.parse(found.coefficients).nearest).toBe(undefined);
      const stopped = await start("stages-scalar-stopped", 4, scalar);
      await goOn(stopped.runPath);
      expect(await outcome(stopped.runPath)).toEqual(found);
    });
  });

  it("a damaged newest checkpoint is passed over and named; metrics after the older one are made again", async () => {
    const { runPath } = await start("damaged", 5);
    await appendFile(join(runPath, "metrics.jsonl"), '{"time": "cut o');
    const newest = join(runPath, "checkpoints", "step-000005");
    const bytes = await readFile(join(newest, "arrays.f64"));
    bytes[3] = (bytes[3] ?? 0) ^ 1;
    await writeFile(join(newest, "arrays.f64"), bytes);
    const { lines } = await goOn(runPath);
    expect(lines.join("\n")).toMatch(/step-000005: passed over, arrays\.f64 does not have the hash/);
    expect(lines.join("\n")).toContain(`goes on after step 4 of ${STEPS}`);
    expect(await outcome(runPath)).toEqual(whole);
  });

  it("without any checkpoint it begins again", async () => {
    const { runPath } = await start("none", 1);
    await rm(join(runPath, "checkpoints"), { recursive: true });
    await goOn(runPath);
    expect(await outcome(runPath)).toEqual(whole);
  });

  it("refuses other settings than it began with, and says which", async () => {
    const { runPath } = await start("edited", 1);
    const config = join(runPath, "config.yaml");
    const text = await readFile(config, "utf8");
    await writeFile(config, text.replace(/^ {2}learning_rate: .*/m, "  learning_rate: 0.5"));
    await expect(goOn(runPath)).rejects.toThrow(
      /config\.yaml: expected the settings that the run began with, found optimizer\.learning_rate: 0\.5 \(was 0\.\d+\); put them back/,
    );
    await writeFile(config, text.replace("save_report: true", "save_report: false"));
    await goOn(runPath);
    expect(await outcome(runPath)).toEqual(whole);
  });

  it("refuses other task vectors than it began with", async () => {
    const { runPath } = await start("other", 1);
    const config = join(runPath, "config.yaml");
    await writeFile(config, (await readFile(config, "utf8")).replace("processing: none", "processing: ties"));
    await expect(goOn(runPath)).rejects.toThrow(/expected the task vectors that the run began with, found others/);
  });

  it("refuses a run that another process has, and takes over what a dead one left", async () => {
    const { runPath } = await start("held", 2);
    const copy = `${runPath}-copy`;
    await cp(runPath, copy, { recursive: true });
    const { hostname } = await import("node:os");
    // Process 1 lives on every Linux machine.
    const lock = (pid: number) =>
      writeFile(join(copy, "run.lock"), JSON.stringify({ pid, host: hostname(), since: "2024" }));
    await lock(1);
    await expect(goOn(copy)).rejects.toThrow(/in use by process 1 on .* since 2024\. Wait for it, or delete/);
    // Larger than any process number (kernel.pid_max).
    await lock(2 ** 22 + 1);
    await goOn(copy);
    expect(await outcome(copy)).toEqual(whole);
  });

  it("says what is missing where no run is", async () => {
    await expect(stoppedRun(join(folder, "nowhere"))).rejects.toThrow(
      /expected the folder of a run, with config\.yaml/,
    );
  });
});
