/** Several runs on one page: what they are called, in which settings they differ, whether they may be compared, and where the page goes. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { formatConfig } from "../../src/config/format.js";
import { parseRunConfig } from "../../src/config/load.js";
import { compareRuns } from "../../src/library/runs.js";
import { writeQuickstartReport } from "../../src/report/quickstart-report.js";
import { temporaryFolder } from "../support/cli.js";

const TASKS = ["digits", "letters <b>"];
let root: string;
beforeAll(async () => {
  root = await temporaryFolder();
});

interface Run {
  readonly experiment: string;
  readonly name: string;
  readonly rate?: number;
  readonly split?: string;
  readonly average?: number;
}

async function makeRun({ experiment, name, rate = 1e-3, split = "test", average = 56 }: Run): Promise<string> {
  const folder = join(root, experiment, name);
  await mkdir(folder, { recursive: true });
  const write = (file: string, content: unknown) =>
    writeFile(join(folder, file), typeof content === "string" ? content : JSON.stringify(content));
  const config = parseRunConfig({
    ...{ suite: "/suite", steps: 4, experiment, name, output: "/runs" },
    ...{ optimizer: { learning_rate: rate }, data: { eval_split: split } },
  });
  await write("config.yaml", formatConfig(config));
  const time = "2024-01-02T03:04:05.000Z";
  await write("status.json", { state: "finished", started: time, updated: time, step: 4 });
  const tasksOf = (value: number) => Object.fromEntries(TASKS.map((task) => [task, value]));
  const evaluations = [0, 4].map((step) => {
    const value = average - 4 + step;
    const tasks = Object.fromEntries(TASKS.map((task) => [`eval/acc/${task}`, value]));
    return JSON.stringify({ step, "eval/acc": value, ...tasks });
  });
  await write("metrics.jsonl", `${evaluations.join("\n")}\n`);
  const rows = [
    { method: "weight_averaging", average: 50, tasks: tasksOf(50) },
    { method: "adamerging_layer_wise", average, tasks: tasksOf(average) },
  ];
  await write("summary.json", { suite: "s", engine: "onnx", device: "cpu", seconds: 61, rows });
  return folder;
}

it("has the runs beside what they share, and the settings in which they differ", async () => {
  const one = await makeRun({ experiment: "e", name: "one" });
  const two = await makeRun({ experiment: "e", name: "two", rate: 0.01, average: 58 });
  const target = await compareRuns([one, two]);
  expect(target).toBe(join(root, "e", "comparison.html"));
  const html = await readFile(target, "utf8");
  const ids = [...html.matchAll(/<section id="([^"]+)">/g)].map(([, id]) => id);
  expect(ids).toEqual(["averages", "steps", "tasks", "table", "settings", "runs"]);
  expect(html).not.toContain("letters <b>");
  expect(html).toMatch(/>best average<\/span><\/dt><dd class="value">58\.0\u00a0%<\/dd><dd class="note">two</);
  const [settings = ""] = /<section id="settings">[\s\S]*?<\/section>/.exec(html) ?? [];
  expect([...settings.matchAll(/<th scope="col"[^>]*>([^<]*)/g)].map(([, text]) => text)).toEqual([
    "run",
    "learning_rate",
  ]);
  const [table = ""] = /<section id="table">[\s\S]*?<\/section>/.exec(html) ?? [];
  const names = [...table.matchAll(/<th scope="row">(.*?)<\/th>/g)].map(([, text]) => text?.replaceAll("<wbr>", ""));
  expect(names).toEqual(["weight_averaging", "one", "two"]);
  expect(table).toContain('<td class="good" data-kind="number" data-value="8">+8.0</td>');
  expect(html).toContain('<a href="one/report.html">one</a>: finished');
  expect(html).not.toContain('class="warning"');
  // A second comparison replaces the first, and is the same.
  expect(await readFile(await compareRuns([one, two]), "utf8")).toBe(html);
});

it("tells runs of one name apart, and says where numbers are of different examples", async () => {
  const one = await makeRun({ experiment: "f", name: "same" });
  const two = await makeRun({ experiment: "g", name: "same", split: "val" });
  const target = await compareRuns([one, two], { file: join(root, "page.html") });
  const html = await readFile(target, "utf8");
  expect(html).toContain("f/same, g/same");
  expect(html).toContain("They are judged on different examples.");
  expect(html).toContain('<a href="f/same/report.html">');
});

it("a quickstart's report has all methods, and says what the best has over averaging", async () => {
  const fits = [
    await makeRun({ experiment: "quickstart", name: "one", average: 56 }),
    await makeRun({ experiment: "quickstart", name: "two", average: 60 }),
  ];
  const rowsOf = Object.entries({ pretrained: 40, individual: 80, weight_averaging: 50, one: 56, two: 60 });
  const rows = rowsOf.map(([method, average]) => ({
    method,
    average,
    tasks: Object.fromEntries(TASKS.map((task) => [task, average])),
  }));
  const summary = { suite: "s", engine: "onnx", device: "cpu", seconds: 150, rows };
  const gains = ["weight_averaging", "one"].map((over) => ({
    ...{ method: "two", over, points: 10, interval: [8, 12] as const },
  }));
  const directory = join(root, "quickstart");
  const target = await writeQuickstartReport(directory, { summary, gains, changed: undefined, fits });
  const html = await readFile(target, "utf8");
  const ids = [...html.matchAll(/<section id="([^"]+)">/g)].map(([, id]) => id);
  expect(ids).toEqual(["averages", "gains", "steps", "tasks", "table", "next"]);
  const values = [...html.matchAll(/<dd class="value[^"]*">([^<]*)/g)].map(([, value]) =>
    value?.replace("\u00a0", " "),
  );
  expect(values).toEqual(["60.0 %", "+10.0", "75.0 %", "60.0 %", "2 min 30 s"]);
  expect(html.match(/<tr class="own">/g)).toHaveLength(2);
  expect(html).toContain('<a href="two/report.html">two</a>');
  expect(html).toMatch(/<code>adamerge report [^<]+\/quickstart\/one<\/code>/);
});

it("refuses one run, a run's own folder, and a file that is not a report", async () => {
  const one = await makeRun({ experiment: "h", name: "one" });
  const two = await makeRun({ experiment: "h", name: "two" });
  await expect(compareRuns([one, one])).rejects.toThrow("expected two or more runs to compare, found 1");
  await expect(compareRuns([one, two], { file: join(one, "x.html") })).rejects.toThrow(/lies in a run/);
  await writeFile(join(root, "h", "comparison.html"), "my own");
  await expect(compareRuns([one, two])).rejects.toThrow(/expected a new name, found a file/);
  await expect(compareRuns([one, join(root, "nothing")], { file: join(root, "y.html") })).rejects.toThrow(
    /expected the folder of a run/,
  );
});
