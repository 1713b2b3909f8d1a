/** The first thing a person does: every row is there, learned on the shipped suite. */
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
  "tsv_m",
  "adamerging_task_wise",
  "adamerging_layer_wise",
  "layer_wise_tsv_expert",
];

/** Against hanging alone: three minutes where nothing else goes on. */
const LIMIT_MS = 600_000;

it(
  "adamerge quickstart",
  async () => {
    const cwd = await temporaryFolder();
    const { code, stdout, stderr } = await runCli(cwd, ["quickstart"]);
    expect(code, stderr).toBe(0);
    const summary: Summary = JSON.parse(await readFile(join(cwd, "runs", "quickstart", "summary.json"), "utf8"));
    expect(summary).toMatchObject({ suite: "text8", engine: "onnx" });
    // Against hanging alone: how long it takes is measured by commands, not by tests.
    expect(summary.seconds).toBeLessThan(500);
    expect(summary.rows.map((row) => row.method)).toEqual(METHODS);
    for (const row of summary.rows) {
      const tasks = Object.values(row.tasks);
      expect(tasks).toHaveLength(8);
      expect(row.average).toBeCloseTo(tasks.reduce((a, b) => a + b, 0) / 8, 9);
      expect(stdout).toContain(row.method);
    }
    const page = join(cwd, "runs", "quickstart", "report.html");
    expect(stdout).toContain(page);
    const html = await readFile(page, "utf8");
    const ids = [...html.matchAll(/<section id="([^"]+)">/g)].map(([, id]) => id);
    expect(ids).toEqual(["averages", "gains", "tasks", "table", "examples", "next"]);
    const average = (method: string) => summary.rows.find((row) => row.method === method)?.average ?? Number.NaN;
    // As the suite's datasheet has them, on fewer texts.
    expect(average("pretrained")).toBeLessThan(60);
    expect(average("individual")).toBeGreaterThan(85);
    // The field's order, at settings chosen on val.
    const order = ["weight_averaging", "task_arithmetic", "adamerging_layer_wise", "tsv_m", "individual"];
    expect(order.toSorted((a, b) => average(a) - average(b))).toEqual(order);
    expect(stdout).toMatch(/layer_wise_tsv_expert {2}\+\d+\.\d {2}\(\+/);
    expect(stdout).toMatch(/ {2}gained {2}\w+: ".+"/);
    for (const method of METHODS.slice(5)) {
      const folder = join(cwd, "runs", "quickstart", method);
      const { tasks, groups, values } = JSON.parse(await readFile(join(folder, "coefficients.json"), "utf8"));
      expect(values.length).toBe(tasks.length);
      expect(values[0].length).toBe(groups.length);
      const lines = (await readFile(join(folder, "metrics.jsonl"), "utf8")).trim().split("\n");
      expect(lines.filter((line) => "train/loss" in JSON.parse(line)).length).toBeGreaterThan(10);
      expect((await openCheckpoint(join(folder, "model"))).tensors.size).toBeGreaterThan(100);
    }
  },
  LIMIT_MS,
);
