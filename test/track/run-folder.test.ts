import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadRunConfig, parseRunConfig } from "../../src/config/load.js";
import { ConfigError } from "../../src/errors.js";
import { coefficientsText, parseCoefficients } from "../../src/track/coefficients-file.js";
import { metricsOf } from "../../src/track/metrics.js";
import { createRunFolder } from "../../src/track/run-folder.js";

const config = parseRunConfig({ suite: "/suite", steps: 2, experiment: "e", name: "n", output: "/runs" });
const now = () => new Date("2024-01-02T03:04:05Z");
let root: string;

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), "adamerge-run-"));
});
afterEach(() => rm(root, { recursive: true }));

const create = (overwrite = false) =>
  createRunFolder({ root, experiment: "e", name: "n", config, overwrite, inputs: {}, now });
const read = (name: string) => readFile(path.join(root, "e/n", name), "utf8");

test("a run leaves its config, metrics, state, coefficients and summary", async () => {
  const run = await create();
  expect(JSON.parse(await read("status.json"))).toMatchObject({ state: "running", step: 0 });
  await run.writeEnvironment({
    node: "20",
    os: "x",
    cpu: "y",
    engine: "onnx",
    device: "cpu",
    examples: "images",
    versions: { adamerge: "0" },
  });
  const start = {
    type: "start",
    objective: "entropy",
    tasks: ["a", "b"],
    groups: ["g"],
    steps: 2,
    trainableCoefficients: 2,
    examples: "images",
    imagesPerStep: 4,
    passesPerStep: 1,
  } as const;
  await run.record(start);
  await run.record({
    type: "step",
    step: 1,
    loss: 3,
    taskLosses: [1, 2],
    gradientNorm: 0.5,
    learningRate: 0.1,
    coefficientMeans: [0.3, 0.4],
    imagesPerSecond: 10,
    secondsLeft: 1,
  });
  await run.record({
    type: "evaluation",
    step: 1,
    tasks: ["a", "b"],
    entropyNats: [1, 0.5],
    labelled: { accuracyPercent: [50, 100], averagePercent: 75, lossNats: [2, 0.25] },
    coefficients: [[0.3], [0.2]],
  });
  await run.record({ type: "end", step: 1, reason: "interrupted", seconds: 1 });
  await run.writeCoefficients({
    granularity: "task-wise",
    tasks: ["a"],
    groups: ["all"],
    values: [[0.1]],
    groupOf: { w: "all" },
  });
  await run.writeSummary({ rows: [] });
  await run.setState("interrupted");
  await run.close();
  const lines = (await read("metrics.jsonl")).trim().split("\n");
  const time = "2024-01-02T03:04:05.000Z";
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    {
      time,
      step: 1,
      "train/loss": 3,
      "train/entropy/a": 1,
      "train/entropy/b": 2,
      "lambda/mean/a": 0.3,
      "lambda/mean/b": 0.4,
      "train/gradient_norm": 0.5,
      "train/learning_rate": 0.1,
      "time/images_per_second": 10,
    },
    {
      ...{ time, step: 1, "eval/acc": 75, "eval/acc/a": 50, "eval/acc/b": 100 },
      ...{ "eval/entropy/a": 1, "eval/entropy/b": 0.5, "eval/loss/a": 2, "eval/loss/b": 0.25 },
    },
  ]);
  expect(await read("trajectory.jsonl")).toBe('{"step":1,"values":[[0.3],[0.2]]}\n');
  expect(JSON.parse(await read("status.json"))).toEqual({
    state: "interrupted",
    started: time,
    updated: time,
    step: 1,
  });
  const again = await loadRunConfig(path.join(run.path, "config.yaml"), [], { presetsDir: root, cwd: root });
  expect(again.config).toEqual(config);
  expect((await readdir(run.path)).sort()).toEqual(
    [
      ".adamerge-files.json",
      "coefficients.json",
      "config.yaml",
      "environment.json",
      "metrics.jsonl",
      "status.json",
      "summary.json",
      "trajectory.jsonl",
    ].sort(),
  );
});

test("the minimised values are called after their objective", () => {
  const event = { type: "step", step: 1, loss: 3, taskLosses: [1, 2], coefficientMeans: [0, 0] } as const;
  const numbers = { gradientNorm: 1, learningRate: 1, imagesPerSecond: 1, secondsLeft: 1 };
  const found = metricsOf({ ...event, ...numbers }, { tasks: ["a", "b"], objective: "expert_divergence" });
  expect(found).toMatchObject({ "train/loss": 3, "train/expert_divergence/a": 1, "train/expert_divergence/b": 2 });
  expect(Object.keys(found ?? {}).join()).not.toContain("entropy");
});

test("an existing run is refused with the choices, or replaced; other people's files stay", async () => {
  const first = await create();
  await first.setState("finished");
  await first.close();
  await writeFile(path.join(first.path, "notes.txt"), "mine");
  await writeFile(path.join(first.path, "metrics.jsonl"), "old\n");
  await expect(create()).rejects.toThrow(ConfigError);
  await expect(create()).rejects.toThrow(
    `${first.path}: expected a new run, found one that is finished. Choose: name=n-2 for a run beside it, ` +
      `--overwrite to replace it, or \`adamerge inspect ${first.path}\` to look at it`,
  );
  const second = await create(true);
  await second.close();
  expect(await read("metrics.jsonl")).toBe("");
  expect(await read("notes.txt")).toBe("mine");
});

test("overwriting touches nothing but what a run wrote", async () => {
  const first = await create();
  await first.writeReadme("# card\n");
  await first.setState("finished");
  await first.close();
  const at = (...parts: string[]) => path.join(first.path, ...parts);
  const refused = (named: string) =>
    expect(create(true)).rejects.toThrow(
      `${first.path}: expected only what a run writes in the places that overwriting clears, found ${named}. Nothing was removed`,
    );
  await mkdir(at("figures"));
  await writeFile(at("figures", "accuracy.svg"), "");
  await writeFile(at("figures", "mine.svg"), "");
  await refused("figures/mine.svg");
  await rm(at("figures", "mine.svg"));
  await mkdir(at("model"));
  await writeFile(at("model", "config.json"), "{}");
  await refused("model/config.json");
  await rm(at("model"), { recursive: true });
  await symlink(root, at("model"));
  await refused("model");
  await rm(at("model"));
  await writeFile(at("README.md"), "# my card\n");
  await refused("README.md (changed since it was written)");
  await writeFile(at("README.md"), "# card\n");
  await (await create(true)).close();
  expect(await readdir(first.path)).not.toContain("figures");
  expect(await readdir(first.path)).not.toContain("README.md");
});

test("a run that was killed before its config was written is begun anew", async () => {
  const folder = path.join(root, "e", "n");
  await mkdir(folder, { recursive: true });
  const killed = {
    state: "running",
    started: "2020-01-01T00:00:00.000Z",
    updated: "2020-01-01T00:00:00.000Z",
    step: 0,
  };
  await writeFile(path.join(folder, "status.json"), JSON.stringify(killed));
  const run = await create();
  await run.close();
  expect(JSON.parse(await readFile(path.join(folder, "status.json"), "utf8")).started).not.toBe(killed.started);
  await expect(create()).rejects.toThrow("expected a new run, found one that is running");
});

test("a folder that is no run's, a link or a file gets no run", async () => {
  await mkdir(path.join(root, "e", "n"), { recursive: true });
  await writeFile(path.join(root, "e", "n", "README.md"), "mine");
  for (const overwrite of [false, true])
    await expect(create(overwrite)).rejects.toThrow(
      "found one that is no run's and has README.md, which a run would replace",
    );
  await writeFile(path.join(root, "e", "n", "status.json"), "{}");
  await expect(create(true)).rejects.toThrow("found a status.json that is no run's");
  expect(await read("README.md")).toBe("mine");
  await rm(path.join(root, "e", "n"), { recursive: true });
  await symlink(root, path.join(root, "e", "n"));
  await expect(create(true)).rejects.toThrow(`found a link to ${root}; give another name= or output=`);
});

test("a run whose lock was taken writes no more", async () => {
  const run = await create();
  await writeFile(path.join(run.path, "run.lock"), '{"pid":7,"host":"node17","since":"now","token":"theirs"}');
  await expect(run.setState("finished")).rejects.toThrow(
    "was taken over by process 7 on node17 since now while this process held it",
  );
  await run.close();
  expect(JSON.parse(await read("status.json"))).toMatchObject({ state: "running" });
  expect(await readdir(run.path)).toContain("run.lock");
});

test("of two runs that start at once one gets the name", async () => {
  const results = await Promise.allSettled([create(), create()]);
  expect(results.map((result) => result.status).sort()).toEqual(["fulfilled", "rejected"]);
  for (const result of results) if (result.status === "fulfilled") await result.value.close();
});

test("coefficients survive their file to the bit", () => {
  const values = [
    [0.1 + 0.2, 1e-300],
    [0, 1 / 3],
  ];
  const record = {
    granularity: "layer-wise",
    tasks: ["a", "b"],
    groups: ["x", "y"],
    values,
    groupOf: { "m.w": "x", "m.b": "y" },
  };
  expect(parseCoefficients(coefficientsText(record), "c.json")).toEqual(record);
});

test.each([
  ["{", "c.json: expected a coefficients.json, found no JSON"],
  [
    '{"granularity":"g","tasks":["a"],"groups":["x"],"values":[[1],[2]]}',
    "values: expected a row for each of the 1 tasks, found 2 rows",
  ],
  [
    '{"granularity":"g","tasks":["a"],"groups":["x"],"values":[[1,2]]}',
    "values: expected rows of 1 values, one per group, found one of 2",
  ],
])("a wrong coefficients file %#", (text, message) => {
  expect(() => parseCoefficients(text, "c.json")).toThrow(message);
});
