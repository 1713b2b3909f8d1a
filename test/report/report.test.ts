/** The report of a run folder: which figures a run has, standing alone, text escaped; also of a run that has not ended. */
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
    rows: [row("pretrained", 40), row("learned", 56)],
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
    const names = [
      "accuracy",
      "objective",
      "entropy-and-loss",
      "coefficients",
      "depth",
      "trajectories",
      "task-vectors",
    ];
    const ids = [...html.matchAll(/<section id="([^"]+)">/g)].map(([, id]) => id);
    expect(ids).toEqual(["table", ...names, "cost", "config"]);
    expect(html.match(/<svg /g)).toHaveLength(names.length);
    expect(html).not.toMatch(/<script|<link|<img|@import|(?:src|href)="(?!#)/);
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
