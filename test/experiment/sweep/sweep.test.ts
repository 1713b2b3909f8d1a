/** Sweeps end to end on real fits: ranked table, two at a time, interruption and going on, halving, failures that stop no other. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { runSweep, type SweepOptions } from "../../../src/experiment/sweep/run-sweep.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});

const SMALL = [
  "tasks=[mnist, letters]",
  "data.eval_split=val",
  "data.eval_limit=20",
  "data.batch_size=2",
  "data.batches_per_task=1",
  "data.eval_every=0",
  "steps=4",
];

async function sweep(name: string, text: string, changes: Partial<SweepOptions> = {}) {
  const file = join(folder, `${name}.yaml`);
  await writeFile(
    file,
    `config: ${join(ROOT, "configs", "quickstart-mini8.yaml")}\nsettings: ${JSON.stringify(SMALL)}\n${text}`,
  );
  const lines: string[] = [];
  const result = await runSweep({
    file,
    presetsDir: join(ROOT, "configs", "presets"),
    cwd: folder,
    overrides: [],
    output: join(folder, "runs"),
    jobs: 1,
    launcher: "local",
    trialCommand: [],
    dryRun: false,
    retryFailed: false,
    cacheDir: join(folder, "cache"),
    signal: new AbortController().signal,
    log: (line) => lines.push(line),
    ...changes,
  });
  return { ...result, lines };
}

const GRID = "parameters:\n  optimizer.learning_rate: [1e-3, 0.1]\n  granularity: [task-wise, layer-wise]\n";

describe("a grid", () => {
  it("runs two at a time, ranks, and the second time computes nothing", async () => {
    const first = await sweep("grid", GRID, { jobs: 2 });
    expect(first.missing).toBe(0);
    expect(first.table.rows.map(({ state, step }) => `${state} ${step}`)).toEqual(Array(4).fill("finished 4"));
    const values = first.table.rows.map(({ value }) => value ?? 0);
    expect(values).toEqual(values.toSorted((a, b) => b - a));
    const csv = (await readFile(join(first.directory, "sweep.csv"), "utf8")).trim().split("\n");
    expect(csv).toHaveLength(5);
    expect(csv[0]).toMatch(/^trial,state,optimizer\.learning_rate,granularity,step,ranked by eval\/acc,eval\/acc,/);

    const again = await sweep("grid", GRID, { jobs: 2 });
    expect(again.lines[0]).toContain("4 done");
    expect(again.table).toEqual(first.table);
  });

  it("lists trials without running them", async () => {
    const { table } = await sweep("dry", GRID, { dryRun: true });
    expect(table.rows.map(({ parameters }) => parameters.granularity).toSorted()).toEqual([
      ...["layer-wise", "layer-wise", "task-wise", "task-wise"],
    ]);
    expect(table.rows.map(({ state }) => state)).toEqual(Array(4).fill("new"));
  });

  it("that is interrupted goes on, and ends as one that was not", async () => {
    const whole = await sweep("whole", GRID);
    const abort = new AbortController();
    const cut = await sweep("cut", GRID, {
      signal: abort.signal,
      log: (line) => {
        if (line.startsWith("[1/4]")) abort.abort();
      },
    });
    expect(cut.missing).toBeGreaterThan(0);
    const rest = await sweep("cut", GRID);
    const facts = ({ table }: typeof whole) =>
      table.rows.map(({ parameters, value, metrics: { time: _time, ...metrics } }) => ({ parameters, value, metrics }));
    expect(facts(rest)).toEqual(facts(whole));
  });
});

it("halving pauses every trial at the first rung and lets the best go on", async () => {
  const text =
    "search: halving\ntrials: 4\nhalving: {first_steps: 1, factor: 2}\nparameters:\n  optimizer.learning_rate: {min: 1e-3, max: 0.5, log: true}\n";
  const { table, missing } = await sweep("halving", text);
  expect(missing).toBe(0);
  const steps = table.rows.map(({ step }) => step);
  expect(steps).toEqual(steps.toSorted((a, b) => b - a));
  expect(steps[0]).toBe(4);
  expect(steps.at(-1)).toBe(1);
  expect(table.rows.at(-1)?.state).toBe("paused");
});

it("a trial that fails is recorded with its reason and stops no other; --retry-failed begins it anew", async () => {
  const text = "parameters:\n  optimizer.learning_rate: [1e-3, 1e30]\n  coefficients.constraint: [none]\n";
  const { table, lines } = await sweep("failing", text);
  expect(table.rows.map(({ state }) => state)).toEqual(["finished", "failed"]);
  expect(table.rows[1]?.error).toMatch(/step \d+: the (loss|gradient) of task/);
  expect(lines.join("\n")).toMatch(/failed: step \d+/);
  expect((await sweep("failing", text)).lines.filter((line) => line.startsWith("["))).toEqual([]);
  expect(
    (await sweep("failing", text, { retryFailed: true })).lines.filter((line) => line.startsWith("[")),
  ).toHaveLength(1);
});

it("a wrong trial stops the sweep before any has run", async () => {
  const text = "parameters:\n  optimizer.learning_rate: [1e-3, -1]\n";
  await expect(sweep("wrong", text)).rejects.toThrow(/optimizer\.learning_rate=-1.*optimizer\.learning_rate/s);
});

it("says so when trials are ranked on test", async () => {
  const { lines } = await sweep("test", "parameters: {data.eval_split: [test]}\n", { dryRun: true });
  expect(lines.join("\n")).toContain("ranked on test");
});
