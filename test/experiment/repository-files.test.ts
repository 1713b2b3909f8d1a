/** The experiments, configs and suites of this repository fit one another, and the published numbers beside them are consistent. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { loadRunConfig } from "../../src/config/load.js";
import { zeroShotOf } from "../../src/data/head-recipes.js";
import { openSuite, type Suite } from "../../src/data/suite.js";
import { loadCells } from "../../src/experiment/cells.js";
import { openExperiment, type Reported } from "../../src/experiment/experiment-file.js";
import { tableLines } from "../../src/experiment/table-lines.js";
import { ROOT } from "../support/cli.js";

const yamlFiles = (folder: string) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => join(ROOT, folder, name));

/** Both the tasks' numbers and their average are rounded to a tenth. */
const ROUNDING = 0.1001;

const opened = new Map<string, Promise<Suite>>();
const suiteOf = (path: string) => {
  const suite = opened.get(path) ?? openSuite(path);
  opened.set(path, suite);
  return suite;
};

/** Their experts are made on demand; their tasks are those of the suite beside them. */
const MADE_ON_DEMAND = ["suite-full.yaml", "suite-lora.yaml", "suite-small.yaml", "suite-hard.yaml"];
const shippedSuiteOf = (path: string) =>
  suiteOf(MADE_ON_DEMAND.includes(basename(path)) ? join(dirname(path), "suite.yaml") : path);

describe("suites of the repository", () => {
  const files = ["datasets/clip", "datasets/mini8", "datasets/text8"]
    .flatMap(yamlFiles)
    .filter((file) => !MADE_ON_DEMAND.includes(basename(file)));

  it.each(files.map((file) => [basename(file), file]))(
    "%s opens, with names of its own and prompts that differ",
    async (_, file) => {
      const { tasks } = await suiteOf(file);
      for (const { name, classes, head, examples, reading } of tasks) {
        const zeroShot = zeroShotOf(head);
        const prompts = (zeroShot?.names ?? classes).flatMap((named) =>
          (zeroShot?.templates ?? ["{}"]).map((template) => template.replace("{}", named)),
        );
        expect(new Set(prompts).size, name).toBe(prompts.length);
        // A part or another name of a split is of one whose examples are counted.
        for (const { name: own } of examples === undefined ? [] : (reading?.splits.values() ?? []))
          expect(examples?.has(own), `${name}: ${own}`).toBe(true);
      }
    },
  );

  it.each([
    ["text8", "suite-full.yaml", (task: string) => ({ expert: `full/experts/${task}` })],
    ["text8", "suite-lora.yaml", (task: string) => ({ expert: `lora/experts/${task}` })],
    [
      "mini8",
      "suite-small.yaml",
      (task: string) => ({ expert: `small/experts/${task}`, head: `small/heads/${task}.safetensors` }),
    ],
    ["mini8", "suite-hard.yaml", () => ({ expert: expect.stringMatching(/^experts(-hard|-unseen)?\/./) })],
  ])("%s's %s differs from the one that ships in names and models alone", async (suite, file, modelsOf) => {
    const read = (name: string) => parse(readFileSync(join(ROOT, "datasets", suite, name), "utf8"));
    const [shipped, own] = [read("suite.yaml"), read(file)];
    expect(own.name).toBe(`${suite}-${file.slice("suite-".length, -".yaml".length)}`);
    expect(own.splits).toEqual(shipped.splits);
    expect(own.tasks).toEqual(shipped.tasks.map((task: { name: string }) => ({ ...task, ...modelsOf(task.name) })));
  });

  it("are the same eight, fourteen and twenty tasks for every tower", async () => {
    const names = async (tower: string, count: number) => {
      const { tasks } = await suiteOf(join(ROOT, "datasets", "clip", `vit-${tower}-${count}.yaml`));
      return tasks.map(({ name }) => name);
    };
    const twenty = await names("b32", 20);
    expect(twenty).toHaveLength(20);
    for (const tower of ["b32", "b16", "l14"])
      for (const count of [8, 14, 20]) expect(await names(tower, count)).toEqual(twenty.slice(0, count));
  });

  it("have every definition in use, and every expert of the suite's own tower", async () => {
    const used = new Set<string>();
    for (const file of yamlFiles("datasets/clip")) {
      const { base, tasks, definitions } = await suiteOf(file);
      for (const path of definitions) used.add(path);
      const tower = /openai\/(clip-vit-[a-z0-9-]+)/.exec(base)?.[1];
      for (const { name, expert } of tasks) expect(expert).toBe(`hf://tanganke/${tower}_${name}@main`);
    }
    expect([...used].sort()).toEqual(yamlFiles("datasets/clip/tasks").sort());
  });
});

it.each(yamlFiles("configs").map((file) => [basename(file), file]))(
  "config %s loads, and its suite opens",
  async (_, file) => {
    const { config } = await loadRunConfig(file, [], { presetsDir: join(ROOT, "configs", "presets"), cwd: ROOT });
    const { tasks } = await suiteOf(config.suite);
    const wanted = [...(config.tasks ?? []), ...(config.data.eval_tasks ?? [])];
    expect(tasks.map(({ name }) => name)).toEqual(expect.arrayContaining(wanted));
  },
);

describe("experiments of the repository", () => {
  const files = yamlFiles("experiments");

  it.each(files.map((file) => [basename(file), file]))(
    "%s has configs that load, and tasks that are in its suites",
    async (_, file) => {
      const experiment = await openExperiment(file, "", ROOT);
      const options = { presetsDir: join(ROOT, "configs", "presets"), cwd: ROOT, overrides: [], output: ROOT };
      const lines = tableLines(experiment, new Map());
      const cells = await loadCells(experiment, lines, { ...options, suiteFingerprint: async () => "" });
      expect(cells.length).toBeGreaterThan(0);
      for (const { row, config } of cells) {
        const known = (await shippedSuiteOf(config.suite)).tasks.map(({ name }) => name);
        const merged = config.tasks ?? known;
        const judged = config.data.eval_tasks ?? merged;
        expect(known, row.name).toEqual(expect.arrayContaining([...merged, ...judged]));
        for (const reported of row.reported) checkReported(reported, judged, row.name);
      }
    },
  );

  function checkReported({ by, tasks, average, curve }: Reported, judged: readonly string[], row: string): void {
    const where = `${row}, ${by}`;
    expect(judged, where).toEqual(expect.arrayContaining(Object.keys(tasks)));
    const values = Object.values(tasks);
    for (const value of [...values, ...curve.map(([, percent]) => percent)]) {
      expect(value, where).toBeGreaterThanOrEqual(0);
      expect(value, where).toBeLessThanOrEqual(100);
    }
    // An average over more than the tasks whose numbers are given says nothing about these.
    if (average !== undefined && values.length === judged.length) {
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      expect(Math.abs(mean - average), `${where}: average ${average}, of its tasks ${mean}`).toBeLessThan(ROUNDING);
    }
    const [last] = curve.slice(-1);
    if (last !== undefined && average !== undefined) expect(Math.abs(last[1] - average), where).toBeLessThan(ROUNDING);
    expect(curve.map(([step]) => step)).toEqual(curve.map(([step]) => step).toSorted((a, b) => a - b));
  }
});
