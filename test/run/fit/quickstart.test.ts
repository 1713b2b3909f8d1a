/** The quickstart in small: its rows, what they gained over averaging example by example, and what it leaves. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { quickstart } from "../../../src/run/fit/quickstart.js";
import { ROOT, temporaryFolder } from "../../support/cli.js";

const SMALL = ["tasks=[mnist, letters]", "steps=2", "data.batch_size=4", "data.adapt_limit=16", "data.eval_limit=40"];

it("judges every model once, and says what learning brought", async () => {
  const cwd = await temporaryFolder();
  const lines: string[] = [];
  const result = await quickstart({
    configPath: join(ROOT, "configs", "quickstart-mini8.yaml"),
    presetsDir: join(ROOT, "configs", "presets"),
    cwd,
    overrides: SMALL,
    output: join(cwd, "runs"),
    cacheDir: join(cwd, "cache"),
    signal: new AbortController().signal,
    log: (line) => lines.push(line),
    onEvent: () => {},
  });
  const { summary, gains, changed, runPath } = result;
  const learned = ["adamerging_task_wise", "adamerging_layer_wise", "layer_wise_tsv_expert"];
  const methods = ["pretrained", "individual", "weight_averaging", "task_arithmetic", "tsv_m", ...learned];
  expect(summary.rows.map(({ method }) => method)).toEqual(methods);
  const [best] = summary.rows.slice(2, 5).sort((a, b) => b.average - a.average);
  expect(gains.map(({ method, over }) => [method, over])).toEqual([
    ...learned.map((method) => [method, "weight_averaging"]),
    ...(best?.method === "weight_averaging" ? [] : [["layer_wise_tsv_expert", best?.method]]),
  ]);
  const averageOf = (method: string) => summary.rows.find((row) => row.method === method)?.average ?? Number.NaN;
  for (const { method, over, points, interval } of gains) {
    expect(points).toBeCloseTo(averageOf(method) - averageOf(over), 9);
    expect(interval[0]).toBeLessThanOrEqual(points);
    expect(interval[1]).toBeGreaterThanOrEqual(points);
  }
  // The examples add up to the same difference.
  expect(changed).toMatchObject({ before: "weight_averaging", after: "layer_wise_tsv_expert" });
  for (const { task, gained, lost, examples } of changed?.tasks ?? []) {
    const of = (method: string) => summary.rows.find((row) => row.method === method)?.tasks[task] ?? Number.NaN;
    expect((100 * (gained - lost)) / examples).toBeCloseTo(of("layer_wise_tsv_expert") - of("weight_averaging"), 9);
  }
  // What is said of the data is said once.
  const notices = lines.filter((line) => line.startsWith("notice:"));
  expect(new Set(notices).size).toBe(notices.length);
  expect(runPath).toBe(join(cwd, "runs", "quickstart", "layer_wise_tsv_expert"));
  const reports = learned.map((name) => existsSync(join(cwd, "runs", "quickstart", name, "report.html")));
  expect(reports).toEqual([false, false, true]);
  const written = JSON.parse(await readFile(join(cwd, "runs", "quickstart", "summary.json"), "utf8"));
  expect(written).toEqual({ ...summary, gains });
});
