/** The presets are claims about other people's code: their values are pinned here. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { configJsonSchema, configKeys } from "../../src/config/keys.js";
import { loadRunConfig } from "../../src/config/load.js";
import { openExperiment } from "../../src/experiment/experiment-file.js";
import { nearest } from "../../src/runtime/nearest.js";

const configs = path.resolve(import.meta.dirname, "../../configs");
const options = { presetsDir: path.join(configs, "presets"), cwd: configs };

test("paper and fusionbench differ exactly where their comments say", async () => {
  const paper = await loadRunConfig("presets/paper.yaml", ["suite=s"], options);
  const fusionbench = await loadRunConfig("presets/fusionbench.yaml", ["suite=s", "experiment=paper"], options);
  expect(paper.config).toMatchObject({
    granularity: "layer-wise",
    share_qkv: true,
    merge_projection: true,
    coefficients: { initial: 0.3, constraint: "clamp", min: 0, max: 1 },
    objective: { form: "log_softmax", reduction: "sum" },
    optimizer: { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0, schedule: "constant" },
    data: { adapt_split: "test", eval_split: "test", batch_size: 16, batches_per_task: 2 },
    steps: 500,
  });
  expect(fusionbench.config).toEqual({
    ...paper.config,
    share_qkv: false,
    merge_projection: false,
    coefficients: { ...paper.config.coefficients, constraint: "none" },
    objective: { ...paper.config.objective, form: "epsilon" },
    data: { ...paper.config.data, batches_per_task: 1 },
    steps: 1000,
  });
});

test("adamerge is the last row of the table that it is taken from", async () => {
  const { rows } = await openExperiment("text8-full", path.resolve(configs, "../experiments"), configs);
  const row = rows.find(({ name }) => name === "layer_wise_tsv_expert");
  const { config: preset } = await loadRunConfig("presets/adamerge.yaml", ["suite=s", "name=n"], options);
  const { config: table } = await loadRunConfig("text8.yaml", [...(row?.fit ?? []), "suite=s", "name=n"], options);
  const { experiment, output, ...settings } = preset;
  expect(table).toMatchObject(settings);
});

test("adamerge-rows is the row of the table that it is taken from", async () => {
  const { rows } = await openExperiment("text8-levers", path.resolve(configs, "../experiments"), configs);
  const row = rows.find(({ name }) => name === "rows_tsv_expert");
  const changes = [...(row?.overrides ?? []), ...(row?.fit ?? []), "suite=s", "name=n"];
  const { config: preset } = await loadRunConfig("presets/adamerge-rows.yaml", ["suite=s", "name=n"], options);
  const { config: table } = await loadRunConfig("text8-val.yaml", changes, options);
  const { experiment, output, data, heads_learning_rate, ...settings } = preset;
  expect(table).toMatchObject(settings);
  expect(table.data).toMatchObject({ batch_size: data.batch_size, batches_per_task: data.batches_per_task });
});

test("presets of AdaMerging's successors are as their code has them", async () => {
  const settings = async (name: string) =>
    (await loadRunConfig(`presets/${name}.yaml`, ["suite=s", "experiment=paper"], options)).config;
  const [paper, fusionbench] = [await settings("paper"), await settings("fusionbench")];
  expect(await settings("symerge")).toEqual({
    ...paper,
    heads: "trained",
    heads_learning_rate: 1e-2,
    objective: { ...paper.objective, name: "pseudo_label" },
    optimizer: { ...paper.optimizer, learning_rate: 1e-2 },
    data: { ...paper.data, batch_size: 32, batches_per_task: 1 },
    steps: 500,
  });
  expect(await settings("adarank")).toEqual({
    ...paper,
    share_qkv: false,
    parametrisation: "masks",
    parametrisation_ratio: 1,
    coefficients: { ...paper.coefficients, constraint: "none" },
    data: { ...paper.data, batches_per_task: 1 },
    steps: 10_000,
  });
  expect(await settings("samerging")).toEqual({
    ...fusionbench,
    coefficients: { ...fusionbench.coefficients, initial: 0 },
    objective: { ...fusionbench.objective, name: "expert_divergence", temperature: 2 },
    optimizer: { ...fusionbench.optimizer, weight_decay: 5e-4, sam: { rho: 0.07, adaptive: true } },
    data: { ...fusionbench.data, adapt_limit: 1600 },
    steps: 1000,
  });
  expect(await settings("surgery")).toEqual({
    ...paper,
    stages: [
      { steps: 500 },
      {
        ...{ parametrisation: "none", heads: "surgery", steps: 500, learning_rate: 1e-3 },
        objective: { name: "feature_l1" },
      },
    ],
    heads_rank: 16,
    steps: 1000,
  });
});

test("every shipped config loads", async () => {
  for (const file of (await readdir(configs)).filter((name) => name.endsWith(".yaml"))) {
    const { config } = await loadRunConfig(file, [], options);
    expect(path.isAbsolute(config.suite)).toBe(true);
  }
});

test("every key is described in one line", () => {
  for (const key of configKeys.values()) expect(key.description, key.path).toMatch(/^[^\n]{8,120}$/);
  expect(configJsonSchema()).toMatchObject({ type: "object", additionalProperties: false });
});

test.each([
  ["lr", "learning_rate"],
  ["Steps", "steps"],
  ["step", "steps"],
  ["optimzier", "optimizer"],
  ["zzz", undefined],
])("nearest to %s is %s", (word, expected) => {
  expect(nearest(word, ["steps", "seed", "learning_rate", "optimizer"])).toBe(expected);
});
