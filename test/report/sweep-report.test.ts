/** The report of a sweep: table, paths and one panel per key that varies; constants and single trials are left out. */
import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { parametersFigure, pathsFigure } from "../../src/report/figures/sweep.js";
import { writeSweepReport } from "../../src/report/sweep-report.js";
import { temporaryFolder } from "../support/cli.js";

const point = (trial: string, rate: number, granularity: string, value: number) => ({
  trial,
  value,
  parameters: { "optimizer.learning_rate": rate, granularity, steps: 10 },
});
const points = [
  point("t0", 1e-3, "task-wise", 60),
  point("t1", 1e-2, "layer-wise", 65),
  point("t2", 1e-1, "task-wise", 50),
];
const data = { metric: "eval/acc", goal: "maximize" as const, points };

it("has the table, the paths and the panels", async () => {
  const folder = await temporaryFolder();
  const table = [["trial", "eval/acc"], ...points.map(({ trial, value }) => [trial, String(value)])];
  const target = await writeSweepReport(folder, { name: "s", figures: data, table, file: "a: <b>", state: "3 trials" });
  const html = await readFile(target, "utf8");
  expect([...html.matchAll(/<section id="([^"]+)">/g)].map(([, id]) => id)).toEqual([
    "table",
    "paths",
    "parameters",
    "sweep",
  ]);
  expect(html).toContain("a: &lt;b&gt;");
  expect(html).toContain("optimizer.learning_rate");
});

it("leaves out keys that do not vary, and figures with nothing to show", () => {
  expect(JSON.stringify(pathsFigure(data)?.spec)).not.toContain("steps");
  expect(parametersFigure({ ...data, points: points.slice(0, 1) })).toBeUndefined();
  expect(pathsFigure({ ...data, points: [] })).toBeUndefined();
});
