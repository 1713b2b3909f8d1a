/** The first thing a person does: every row is there, learned on the shipped suite in under three minutes. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import type { Summary } from "../../src/report/summary.js";
import { runCli, temporaryFolder } from "../support/cli.js";

const METHODS = [
  "pretrained",
  "individual",
  "weight_averaging",
  "task_arithmetic",
  "adamerging_task_wise",
  "adamerging_layer_wise",
  "adamerging_layer_wise_pp",
];
/** Chance is 10, 10, 12.5 and 3.8 percent on the four tasks. */
const BEST_CHANCE_PERCENT = 12.5;

it("adamerge quickstart", async () => {
  const cwd = await temporaryFolder();
  const { code, stdout, stderr } = await runCli(cwd, ["quickstart"]);
  expect(code, stderr).toBe(0);
  const summary: Summary = JSON.parse(await readFile(join(cwd, "runs", "quickstart", "summary.json"), "utf8"));
  expect(summary).toMatchObject({ suite: "mini4", engine: "onnx" });
  expect(summary.seconds).toBeLessThan(180);
  expect(summary.rows.map((row) => row.method)).toEqual(METHODS);
  for (const row of summary.rows) {
    const tasks = Object.values(row.tasks);
    expect(tasks).toHaveLength(4);
    expect(row.average).toBeCloseTo(tasks.reduce((a, b) => a + b, 0) / 4, 9);
    expect(stdout).toContain(row.method);
  }
  const average = (method: string) => summary.rows.find((row) => row.method === method)?.average ?? Number.NaN;
  expect(average("individual")).toBeGreaterThan(4 * BEST_CHANCE_PERCENT);
  // Which method wins is a finding that the README reports. That learning does something useful is a property of the code:
  // every fit starts at the model of task arithmetic 0.3 (or its trimmed form) and must end above it.
  for (const method of METHODS.slice(4, 6)) expect(average(method)).toBeGreaterThan(average("task_arithmetic"));
  for (const method of METHODS.slice(4)) {
    const folder = join(cwd, "runs", "quickstart", method);
    const { tasks, groups, values } = JSON.parse(await readFile(join(folder, "coefficients.json"), "utf8"));
    expect(values.length).toBe(tasks.length);
    expect(values[0].length).toBe(groups.length);
    const lines = (await readFile(join(folder, "metrics.jsonl"), "utf8")).trim().split("\n");
    expect(lines.filter((line) => "train/loss" in JSON.parse(line)).length).toBeGreaterThan(10);
    expect((await openCheckpoint(join(folder, "model"))).tensors.size).toBeGreaterThan(100);
  }
});
