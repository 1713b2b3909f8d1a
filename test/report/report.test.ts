/** The report of a run folder: which figures a run has, standing alone, text escaped; also of a run that has not ended. */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { formatConfig } from "../../src/config/format.js";
import { parseRunConfig } from "../../src/config/load.js";
import type { ObjectiveName } from "../../src/objective/catalog.js";
import { objectiveFigure } from "../../src/report/figures/curves.js";
import { readRunReport } from "../../src/report/run-report.js";
import { writeRunReport } from "../../src/report/write-report.js";
import { coefficientsText } from "../../src/track/coefficients-file.js";
import { temporaryFolder } from "../support/cli.js";

const TASKS = ["digits <b>", "letters"];
const TENSORS = ["embeddings.weight", "layers.0.mlp.weight", "layers.1.mlp.weight", "projection.weight"];
const STEPS = 6;
const BASELINES = { pretrained: 40, weight_averaging: 48, individual: 80 };
let root: string;
beforeAll(async () => {
  root = await temporaryFolder();
});

/** A run as a fit leaves it, or as it is after three steps without any evaluation. */
async function makeRun(
  name: string,
  isOver: boolean,
  objective: ObjectiveName = "entropy",
  metric = `train/${objective}`,
  baselines: Readonly<Record<string, number>> = { pretrained: 40 },
): Promise<string> {
  const folder = join(root, name);
  await mkdir(folder);
  const write = (file: string, content: unknown) =>
    writeFile(join(folder, file), typeof content === "string" ? content : JSON.stringify(content));
  const config = parseRunConfig({
    ...{ suite: "/suite", steps: STEPS, experiment: "e", name, output: "/runs" },
    objective: { name: objective },
  });
  await write("config.yaml", formatConfig(config));
  const time = "2024-01-02T03:04:05.000Z";
  await write("status.json", { state: isOver ? "finished" : "running", started: time, updated: time, step: STEPS });
  const perTask = (prefix: string, values: readonly number[]) =>
    Object.fromEntries(TASKS.map((task, index) => [`${prefix}/${task}`, values[index]]));
  const steps = Array.from({ length: isOver ? STEPS : 3 }, (_, index) => ({
    step: index + 1,
    "train/loss": 3 - index / 10,
    ...perTask(metric, [2 - index / 10, 1]),
    ...perTask("lambda/mean", [0.3, 0.3]),
    "time/images_per_second": 100 + index,
  }));
  const evaluations = [0, 3, STEPS].map((step) => ({
    step,
    "eval/acc": 50 + step,
    ...perTask("eval/acc", [40 + step, 60 + step]),
    ...perTask("eval/entropy", [2 - step / 10, 1 - step / 20]),
    ...perTask("eval/loss", [1 + step / 10, 1 - step / 30]),
  }));
  const lines = isOver ? [...steps, ...evaluations] : steps;
  await write("metrics.jsonl", `${lines.map((line) => JSON.stringify(line)).join("\n")}\n{"step": 7, "tra`);
  if (!isOver) return folder;
  const values = [
    [0.1, 0.2, 0.3, 0.9],
    [0.3, 0.3, 0.3, 0.3],
  ];
  const points = [0, 3, STEPS].map((step) => ({
    step,
    values: values.map((row) => row.map((v) => 0.3 + (v - 0.3) * (step / STEPS))),
  }));
  await write("trajectory.jsonl", points.map((point) => `${JSON.stringify(point)}\n`).join(""));
  const groupOf = Object.fromEntries(TENSORS.map((tensor) => [tensor, tensor]));
  await write(
    "coefficients.json",
    coefficientsText({ granularity: "layer-wise", tasks: TASKS, groups: TENSORS, values, groupOf }),
  );
  const row = (method: string, average: number) => ({
    method,
    average,
    tasks: Object.fromEntries(TASKS.map((t) => [t, average])),
  });
  await write("summary.json", {
    suite: "s",
    engine: "onnx",
    device: "cpu",
    seconds: 3,
    rows: [...Object.entries(baselines).map(([method, average]) => row(method, average)), row("learned", 56)],
  });
  await write("task-vectors.json", {
    tasks: TASKS,
    normRatios: [0.1, 0.2],
    cosines: [
      [1, 0.05],
      [0.05, 1],
    ],
  });
  return folder;
}

describe("report.html", () => {
  it("of a finished run has the table, every figure, the cost and the config, and asks nothing of a network", async () => {
    const folder = await makeRun("over", true);
    const target = await writeRunReport(folder);
    expect(target).toBe(join(folder, "report.html"));
    const html = await readFile(target, "utf8");
    const first = ["change", "accuracy"];
    const names = [...first, "coefficients", "depth", "trajectories", "objective", "entropy-and-loss", "task-vectors"];
    const ids = [...html.matchAll(/<section id="([^"]+)">/g)].map(([, id]) => id);
    expect(ids).toEqual([...first, "table", ...names.slice(first.length), "cost", "config"]);
    // Each has a form for narrow screens.
    expect(html.match(/<svg /g)).toHaveLength(2 * names.length);
    expect(html).not.toMatch(/<link|<img|@import|(?:src|href)="(?!#)/);
    const [, script = ""] = /<script>([\s\S]*)<\/script>/.exec(html) ?? [];
    const hash = createHash("sha256").update(script).digest("base64");
    expect(html).toContain(`content="default-src 'none'; script-src 'sha256-${hash}'; `);
    expect(html).not.toContain("digits <b>");
    expect(html).toContain("digits &lt;b&gt;");
    expect(html).toContain("Transductive");
    // Task one becomes surer and worse, task two surer and better.
    expect(html).toMatch(/along the fit: digits &lt;b&gt; -1\.00, letters 1\.00/);

    const files = names.flatMap((name) => [`${name}.png`, `${name}.svg`]).sort();
    expect((await readdir(join(folder, "figures"))).sort()).toEqual(files);
    for (const name of names) {
      // Something is drawn in each: not one colour.
      const { channels } = await sharp(join(folder, "figures", `${name}.png`)).stats();
      expect(Math.max(...channels.map(({ stdev }) => stdev)), name).toBeGreaterThan(5);
    }
  });

  it.each([
    ["normalized_entropy", "train/normalized_entropy", "normalised entropy", "normalised entropy"],
    ["cross_entropy", "train/cross_entropy", "cross-entropy", "cross-entropy (nats)"],
    // As runs of version 0.1 have it.
    ["cross_entropy", "train/entropy", "cross-entropy", "cross-entropy (nats)"],
  ] as const)("names what was minimised: %s under %s", async (name, metric, label, axis) => {
    const run = await readRunReport(
      await makeRun(`${name}-${metric.replace("/", "-")}`, false, name, metric),
      () => {},
    );
    const figure = objectiveFigure(run);
    expect(figure).toMatchObject({
      title: `Objective: ${label}`,
      spec: { data: { values: { length: 6 } }, encoding: { y: { title: axis } } },
    });
    expect(figure?.caption).toContain(`The ${label} of each task`);
  });

  it("begins with what the fit comes to", async () => {
    const folder = await makeRun("cards", true, "entropy", undefined, BASELINES);
    const html = await readFile(await writeRunReport(folder), "utf8");
    const found = html.matchAll(
      /<dt><span[^>]*>([^<]*)<\/span><\/dt><dd class="[^"]*">([^<]*)<\/dd><dd class="note">([^<]*)/g,
    );
    const cards = [...found].map(([, label, value, note]) => `${label}: ${value} (${note})`.replaceAll("\u00a0", " "));
    expect(cards).toEqual([
      "average accuracy: 56.0 % (+6.0 since step 0)",
      "to weight averaging: +8.0 (points; averaging has 48.0 %)",
      "of the experts: 70.0 % (kept; each on its own task: 80.0 %)",
      "worst task: 56.0 % (digits &lt;b&gt;, +8.0 to averaging)",
      "time: 3.0 s (6 steps, evaluations included)",
      "images shown: 192 (without labels)",
    ]);
    expect(html).toMatch(/<tr class="own"><th scope="row">learned<\/th>/);
    expect(html).toMatch(/<tr class="aside"><th scope="row">individual<\/th>/);
    const [table = ""] = /<section id="table">[\s\S]*?<\/section>/.exec(html) ?? [];
    const best = [...table.matchAll(/<td class="[^"]*\bbest\b[^"]*"[^>]*>([^<]*)/g)].map(([, text]) => text);
    // Of the merged models; the experts' 80 do not compete.
    expect(best).toEqual(["56.00", "70.0", "56.00", "56.00", "56.00"]);
    // Changed settings first, the whole configuration folded.
    expect(html).toMatch(/<th scope="row">steps<\/th><td>6<\/td><td>500<\/td>/);
    expect(html).toMatch(/<details><summary>All settings<\/summary>/);
  });

  it("is the same bytes for the same run, and at most 3 MB for a large one", async () => {
    const folder = await makeRun("again", true);
    const first = await readFile(await writeRunReport(folder), "utf8");
    expect(await readFile(await writeRunReport(folder), "utf8")).toBe(first);
    const tasks = Array.from({ length: 20 }, (_, index) => `task ${index}`);
    const groups = Array.from({ length: 300 }, (_, index) => `layers.${Math.floor(index / 16)}.part.${index}`);
    const values = tasks.map((_, k) => groups.map((__, l) => Math.sin(k * l)));
    const groupOf = Object.fromEntries(groups.map((group) => [group, group]));
    const record = { granularity: "layer-wise", tasks, groups, values, groupOf } as const;
    await writeFile(join(folder, "coefficients.json"), coefficientsText(record));
    await writeFile(join(folder, "trajectory.jsonl"), "");
    const large = await readFile(await writeRunReport(folder), "utf8");
    expect(large.length).toBeLessThan(3e6);
    // So many cells are a picture.
    expect(large).toMatch(
      /<section id="coefficients">[\s\S]{0,200}<img alt="Coefficients" width="\d+" src="data:image\/png;base64,/,
    );
  });

  it("of a run that goes on has what there is", async () => {
    const html = await readFile(await writeRunReport(await makeRun("under-way", false)), "utf8");
    const ids = [...html.matchAll(/<section id="([^"]+)">/g)].map(([, id]) => id);
    expect(ids).toEqual(["objective", "cost", "config"]);
    expect(html).toContain("running");
  });

  it("of a folder without a run says so", async () => {
    await expect(writeRunReport(join(root, "nothing"))).rejects.toThrow(/expected the folder of a run/);
  });
});
