/** Fits of the shipped suite that a rule ends without labels, and the notice of a task whose predictions have collapsed. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadRunConfig } from "../../../src/config/load.js";
import type { TrainEvent } from "../../../src/optimize/events.js";
import { summaryKind } from "../../../src/report/summary.js";
import { fit } from "../../../src/run/fit/fit.js";
import { stoppedRun } from "../../../src/run/fit/fit-folder.js";
import { readJsonFile } from "../../../src/runtime/json-file.js";
import { readCoefficients } from "../../../src/track/coefficients-file.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});

const OVERRIDES = [
  ...["tasks=[mnist, letters]", "data.eval_limit=60", "data.batch_size=4", "data.batches_per_task=1"],
  ...["data.adapt_split=adapt", "data.eval_split=val", "data.eval_every=2", "steps=8", "experiment=e"],
  ...["stopping.every=1", "stopping.patience=2", "stopping.examples=12", "save_model=false"],
];

async function run(name: string, overrides: readonly string[], stopAfter?: number, resume?: string) {
  const presetsDir = join(ROOT, "configs", "presets");
  const all = [...OVERRIDES, ...overrides, `name=${name}`];
  const loaded = await loadRunConfig(join(ROOT, "configs", "mini8.yaml"), all, { presetsDir, cwd: folder });
  const config = resume === undefined ? loaded.config : (await stoppedRun(resume)).config;
  const abort = new AbortController();
  const [lines, events]: [string[], TrainEvent[]] = [[], []];
  const result = await fit(
    { ...config, output: join(folder, "runs") },
    {
      ...{ cacheDir: join(folder, "cache"), signal: abort.signal, overwrite: false },
      ...(resume === undefined ? {} : { resume }),
      log: (line) => lines.push(line),
      onEvent: (event) => {
        events.push(event);
        if (event.type === "step" && event.step === stopAfter) abort.abort();
      },
    },
  );
  const text = (file: string) => readFile(join(result.runPath, file), "utf8").catch(() => "");
  return { ...result, lines, events, text };
}

const summaryOf = (runPath: string) => readJsonFile(join(runPath, "summary.json"), summaryKind);

describe("steps far too large", () => {
  const wild = ["optimizer.learning_rate=3", "coefficients.constraint=none"];
  it.each(["disagreement", "entropy"])("are ended by %s, which keeps the start", async (rule) => {
    const { lines, events, text, runPath } = await run(rule, [...wild, `stopping.rule=${rule}`]);
    const { stopping, collapsed = [] } = await summaryOf(runPath);
    expect(stopping).toMatchObject({ step: 2, bestStep: 0, isEarly: true });
    const coefficients = await readCoefficients(join(runPath, "coefficients.json"));
    expect(new Set(coefficients.values.flat())).toEqual(new Set([0.3]));
    expect(events.filter(({ type }) => type === "step")).toHaveLength(2);
    expect(collapsed).toEqual([]);
    const said = /stopped after step 2: the held-out .* was no better at 2 looks in a row; step 0 is kept/;
    expect(lines.join("\n")).toMatch(said);
    expect(await text("README.md")).toMatch(said);
    expect(await text("report.html")).toMatch(said);
    expect(await text("metrics.jsonl")).toContain('"stopping/best_step":0');
  });

  it("collapse the predictions where no rule ends them, which is said everywhere", async () => {
    const { lines, text, runPath } = await run("wild", wild);
    const { stopping, collapsed = [] } = await summaryOf(runPath);
    expect(stopping).toBeUndefined();
    expect(collapsed.length).toBeGreaterThan(0);
    expect(lines.join("\n")).toMatch(/warning: step \d: \w+ has collapsed: .* where the start's fall into/);
    const said = /has collapsed: its predictions fall into \d+\.\d classes where its expert(&#39;|')s fall into/;
    for (const where of [lines.join("\n"), await text("README.md"), await text("report.html")])
      expect(where).toMatch(said);
  });
});

it("is the same after a stop, and learns from nothing that is held out", async () => {
  const own = ["stopping.rule=disagreement", "stopping.patience=8", "optimizer.learning_rate=0.3"];
  const whole = await run("whole", own);
  const stopped = await run("stopped", own, 3);
  expect(stopped.reason).toBe("interrupted");
  const resumed = await run("stopped", own, undefined, stopped.runPath);
  const metrics = async (one: typeof whole) =>
    (await one.text("metrics.jsonl"))
      .trim()
      .split("\n")
      .map((line) => {
        const { time: _time, "time/images_per_second": _speed, ...values } = JSON.parse(line);
        return values;
      });
  expect(await metrics(resumed)).toEqual(await metrics(whole));
  expect(await resumed.text("coefficients.json")).toBe(await whole.text("coefficients.json"));
  expect((await summaryOf(resumed.runPath)).stopping).toEqual((await summaryOf(whole.runPath)).stopping);
  const all = await run("all", ["stopping.rule=none"]);
  expect(all.imagesUnique - whole.imagesUnique).toBe(2 * 12);
});

it("of rows and columns keeps the best step's too", async () => {
  const own = ["parametrisation=rows", "stopping.rule=disagreement", "optimizer.learning_rate=3"];
  const { runPath } = await run("rows", own);
  expect((await summaryOf(runPath)).stopping).toMatchObject({ bestStep: 0, isEarly: true });
  const { nearest, values } = await readCoefficients(join(runPath, "coefficients.json"));
  expect(Math.max(...(nearest?.outside ?? [1]))).toBeLessThan(1e-5);
  expect(Math.max(...values.flat().map((value) => Math.abs(value - 0.3)))).toBeLessThan(1e-4);
});

it("refuses splits that are too small to hold examples out", async () => {
  await expect(run("few", ["stopping.rule=entropy", "stopping.examples=100000"])).rejects.toThrow(
    /task mnist: expected more than stopping.examples \(100000\) examples in adapt, found \d+; lower stopping.examples/,
  );
});
