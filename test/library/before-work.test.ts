/** Verbs that look at files, and what verbs refuse before any work, with their options called as the caller calls them. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { configText, evaluateModel, findMergeSource, inspect, loadConfig, mergeModels, pull } from "../../src/index.js";
import { ROOT, temporaryFolder } from "../support/cli.js";

let cwd: string;
const asFlags = { optionName: (option: string) => `--${option}` };

beforeAll(async () => {
  cwd = await temporaryFolder();
  await mkdir(join(cwd, "model"));
  await writeFile(join(cwd, "merge.yaml"), "models: [{model: a}]\nmerge_method: linear\n");
  await writeFile(join(cwd, "config.yaml"), "suite: s\n");
});

describe("evaluateModel", () => {
  it.each([
    [{}, /^expected one of data TASK=FOLDER and suite SUITE with a saved model, found neither/],
    [{ data: {}, suite: "s" }, /found both/],
    [{ data: ["pets"] }, /^data: expected TASK=FOLDER, found pets/],
    [{ data: ["a=b", "a=c"], ...asFlags }, /^--data: expected each task once, found a twice/],
    [{ data: { a: "b" }, predictions: "model/p.json" }, /^predictions model\/p\.json: .*the saved model/],
    [{ data: { a: "x" }, predictions: "x/p.json", ...asFlags }, /^--predictions x\/p\.json/],
  ])("refuses %j", async (options, message) => {
    await mkdir(join(cwd, "x"), { recursive: true });
    await expect(evaluateModel("model", { cwd, ...options })).rejects.toThrow(message);
  });
});

it("a merge file and a config are told apart, also where they ship under one name", async () => {
  expect(await findMergeSource("merge.yaml", { cwd })).toEqual({ kind: "merge-file", path: join(cwd, "merge.yaml") });
  expect(await findMergeSource("config.yaml", { cwd })).toEqual({ kind: "config", path: join(cwd, "config.yaml") });
  const shipped = (withCoefficients: boolean) => findMergeSource("mini8", { cwd, withCoefficients });
  expect(await shipped(false)).toMatchObject({ kind: "merge-file", path: join(ROOT, "configs/merges/mini8.yaml") });
  expect(await shipped(true)).toMatchObject({ kind: "config", path: join(ROOT, "configs/mini8.yaml") });
});

it("configs as text, with and without where values come from", async () => {
  const config = await loadConfig("config.yaml", { overrides: { steps: 3 }, cwd });
  expect(configText(config, { sources: true })).toContain("steps: 3  # override steps=3");
  expect(configText(config)).not.toContain("override");
});

it("inspect names what it found instead", async () => {
  await expect(inspect("model", { cwd })).rejects.toThrow(/^model: expected a .* found an empty folder/);
});

it("other options are called as asked too", async () => {
  const output = "out";
  await expect(mergeModels("merge.yaml", { cwd, output, threads: -1 })).rejects.toThrow(/^threads: /);
  await expect(mergeModels("merge.yaml", { cwd, output, threads: -1, ...asFlags })).rejects.toThrow(/^--threads: /);
  await expect(pull("mini8", { cwd, tasks: ["x"], dryRun: true, ...asFlags })).rejects.toThrow(/^--tasks: the suite/);
});

it("pull tells what there is before it downloads, and the environment can be another one", async () => {
  const told: unknown[] = [];
  const given = { cwd, dryRun: true, onPlan: (plan: unknown) => told.push(plan) };
  expect(await pull("mini8", given)).toEqual([]);
  expect(told).toEqual([[]]);
  await expect(pull("mini8", { ...given, env: { HF_ENDPOINT: "nowhere" } })).rejects.toThrow(/^HF_ENDPOINT: expected/);
});
