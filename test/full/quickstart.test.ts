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
/** Of the eight tasks emoji has the fewest classes, eight. */
const BEST_CHANCE_PERCENT = 12.5;

it("adamerge quickstart", async () => {
  const cwd = await temporaryFolder();
  const { code, stdout, stderr } = await runCli(cwd, ["quickstart"]);
  expect(code, stderr).toBe(0);
  const summary: Summary = JSON.parse(await readFile(join(cwd, "runs", "quickstart", "summary.json"), "utf8"));
  expect(summary).toMatchObject({ suite: "mini8", engine: "onnx" });
  // Against hanging alone: how long it takes is measured by commands, not by tests.
  expect(summary.seconds).toBeLessThan(300);
  expect(summary.rows.map((row) => row.method)).toEqual(METHODS);
  for (const row of summary.rows) {
    const tasks = Object.values(row.tasks);
    expect(tasks).toHaveLength(8);
    expect(row.average).toBeCloseTo(tasks.reduce((a, b) => a + b, 0) / 8, 9);
    expect(stdout).toContain(row.method);
  }
  const average = (method: string) => summary.rows.find((row) => row.method === method)?.average ?? Number.NaN;
  expect(average("individual")).toBeGreaterThan(4 * BEST_CHANCE_PERCENT);
  // The paper's order, at settings chosen on val: learned coefficients above fixed ones.
  expect(average("adamerging_layer_wise")).toBeGreaterThan(average("weight_averaging"));
  expect(average("weight_averaging")).toBeGreaterThan(average("pretrained"));
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
