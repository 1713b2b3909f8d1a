/** Sweep files: mistakes with the key and the nearest right one; grids in order; draws that repeat and stay in range. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openSweep, sweepTrials, trialOverrides } from "../../src/config/sweep.js";
import { temporaryFolder } from "../support/cli.js";

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});

async function open(text: string) {
  await writeFile(join(folder, "s.yaml"), text);
  return openSweep("s.yaml", folder);
}

describe("a grid", () => {
  it("is every combination, the last key fastest, typed as written", async () => {
    const sweep = await open("config: ../c.yaml\nparameters: {steps: [1, 2], granularity: [task-wise, layer-wise]}\n");
    expect(sweep).toMatchObject({ name: "s", config: join(folder, "..", "c.yaml"), metric: "eval/acc" });
    expect(sweepTrials(sweep).map(trialOverrides)).toEqual([
      ["steps=1", 'granularity="task-wise"'],
      ["steps=1", 'granularity="layer-wise"'],
      ["steps=2", 'granularity="task-wise"'],
      ["steps=2", 'granularity="layer-wise"'],
    ]);
  });
});

it("of more trials than a sweep may have is refused before it is made", async () => {
  const keys = ["steps", "seed", "threads", "batch_size", "optimizer.learning_rate"];
  const values = JSON.stringify(Array.from({ length: 100 }, (_, index) => index + 1));
  const parameters = (count: number) => keys.slice(0, count).map((key) => `  ${key}: ${values}\n`);
  await expect(open(`config: c.yaml\nparameters:\n${parameters(5).join("")}`)).rejects.toThrow(
    "parameters: expected a grid of at most 10000 trials, found 100 x 100 x 100 x 100 x 100 = 10000000000; vary fewer values",
  );
  expect(sweepTrials(await open(`config: c.yaml\nparameters:\n${parameters(2).join("")}`))).toHaveLength(10_000);
});

describe("random draws", () => {
  const text = (extra: string) =>
    `config: c.yaml\nsearch: random\ntrials: 400\n${extra}parameters:\n  optimizer.learning_rate: {min: 1e-4, max: 1e-1, log: true}\n` +
    "  seed: {min: 3, max: 5, integer: true}\n  granularity: [task-wise, layer-wise]\n";

  it("repeat with the seed, stay in range and fill it", async () => {
    const trials = sweepTrials(await open(text("")));
    expect(trials).toEqual(sweepTrials(await open(text(""))));
    expect(trials).not.toEqual(sweepTrials(await open(text("seed: 1\n"))));
    const values = (key: string) => trials.map(({ parameters }) => parameters[key]);
    const rates = values("optimizer.learning_rate").map(Number);
    expect(Math.min(...rates)).toBeGreaterThanOrEqual(1e-4);
    expect(Math.max(...rates)).toBeLessThanOrEqual(1e-1);
    // A third of them in each decade.
    for (const decade of [1e-4, 1e-3, 1e-2]) {
      const share = rates.filter((rate) => rate >= decade && rate < 10 * decade).length / rates.length;
      expect(share).toBeGreaterThan(0.25);
      expect(share).toBeLessThan(0.42);
    }
    expect(new Set(values("seed"))).toEqual(new Set([3, 4, 5]));
    expect(new Set(values("granularity"))).toEqual(new Set(["task-wise", "layer-wise"]));
  });

  it("do not change for a key when another is added", async () => {
    const before = sweepTrials(await open(text("")));
    const after = sweepTrials(await open(`${text("")}  steps: [1, 2]\n`));
    expect(after.map(({ parameters }) => parameters.seed)).toEqual(before.map(({ parameters }) => parameters.seed));
  });
});

it.each([
  ["parameters: {optimizer.learning_rte: [1]}", /parameters\.optimizer\.learning_rte: .*optimizer\.learning_rate/],
  ["parameters: {optimizer: [1]}", /parameters\.optimizer/],
  ["parameters: {seed: {min: 1, max: 2}}", /expected a list of values with search: grid/],
  ["parameters: {}", /expected at least one key/],
  ["search: random\nparameters: {seed: {min: 2, max: 1}}", /expected at least min \(2\), found 1/],
  ["search: random\nparameters: {seed: {min: 0, max: 1, log: true}}", /expected above 0 with log, found 0/],
  ["search: halving\nparameters: {seed: [1]}", /halving: expected with search: halving/],
  ["parameters: {seed: [1]}\nmetric: accuracy", /metric: .*eval\/acc/],
  ["parameters: {seed: [1]}\njobs: 3", /jobs/],
  ["parameters: [", /s\.yaml:\d+: not valid YAML/],
])("%s is refused", async (text, message) => {
  await expect(open(`config: c.yaml\n${text}\n`)).rejects.toThrow(message);
});
