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
  const [middle, first, last] = points.map((each, index) => ({
    ...each,
    state: index === 2 ? "failed" : "finished",
    step: 10,
    metrics: { "eval/acc/a": each.value - 5, "eval/acc/b": each.value + 5 },
    seconds: 61,
    error: index === 2 ? "it <died>" : null,
  }));
  const trials = [first, middle, last].flatMap((trial) => trial ?? []);
  const target = await writeSweepReport(folder, {
    ...{ name: "s", figures: data, trials },
    ...{ file: "a: <b>", state: "3 trials" },
  });
  const html = await readFile(target, "utf8");
  expect([...html.matchAll(/<section id="([^"]+)">/g)].map(([, id]) => id)).toEqual([
    "paths",
    "parameters",
    "table",
    "sweep",
  ]);
  expect(html).toContain("a: &lt;b&gt;");
  expect(html).toContain("optimizer.learning_rate");
  // The headline is the best trial's, settings stand under their section, and what failed says why.
  expect(html).toMatch(/>best eval\/acc<\/span><\/dt><dd class="value">65\.00/);
  expect(html).toMatch(/<th scope="colgroup" class="starts" colspan="1">optimizer<\/th>/);
  expect(html).toMatch(
    /<td class="starts best bar" data-kind="number" data-value="65" style="--share:100%">65\.00<\/td>/,
  );
  expect(html).toContain("failed: it &lt;died&gt;");
  expect(html).toContain('data-value="61">1 min 1 s');
});

it("leaves out keys that do not vary, and figures with nothing to show", () => {
  expect(JSON.stringify(pathsFigure(data)?.spec)).not.toContain("steps");
  expect(parametersFigure({ ...data, points: points.slice(0, 1) })).toBeUndefined();
  expect(pathsFigure({ ...data, points: [] })).toBeUndefined();
});
