/** The key `stages`: what each stage inherits, the steps of all, and what is refused before any work. */
import { describe, expect, it } from "vitest";
import { decisiveSettings } from "../../src/config/flat.js";
import { parseRunConfig } from "../../src/config/load.js";
import { learnedTitle, learnsCoefficients, objectiveNames, stageConfigs } from "../../src/config/stages.js";

const parse = (settings: object) => parseRunConfig({ suite: "x", ...settings });
const TWO = [
  { parametrisation: "scalar", steps: 150, learning_rate: 2e-2, schedule: "cosine" },
  { parametrisation: "all_weights", steps: 100, learning_rate: 5e-5, objective: { name: "expert_divergence" } },
];

it("a config without stages is its own only stage", () => {
  const config = parse({});
  expect(config.stages).toBe(null);
  expect(stageConfigs(config)).toEqual([config]);
  expect(config.steps).toBe(500);
  expect(decisiveSettings(config).get("stages")).toBe("null");
});

it("a stage has what it says, and else what the config says; steps are the sum of all", () => {
  const config = parse({ stages: TWO, steps: 7, optimizer: { warmup_steps: 20 }, objective: { reduction: "mean" } });
  expect(config.steps).toBe(250);
  const [first, second] = stageConfigs(config);
  expect(first).toMatchObject({
    stages: null,
    steps: 150,
    parametrisation: "scalar",
    optimizer: { learning_rate: 2e-2, schedule: "cosine", warmup_steps: 20, beta1: 0.9 },
    objective: { name: "entropy", reduction: "mean" },
  });
  expect(second).toMatchObject({
    steps: 100,
    optimizer: { learning_rate: 5e-5, schedule: "constant" },
    objective: { name: "expert_divergence", reduction: "mean" },
  });
  expect(learnedTitle(config)).toBe("coefficients, then merged weights");
  expect(learnsCoefficients(config)).toBe(false);
  expect(objectiveNames(config)).toEqual(["entropy", "expert_divergence"]);
  // What was read back from a run's config.yaml is the same.
  expect(parseRunConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
});

describe("refuses", () => {
  it.each([
    [{ stages: [] }, /stages: expected at least 1 entries, found \[\]/],
    [{ stages: [{ parametrisation: "rows" }] }, /stages.0.steps: expected a number, found nothing|stages.0.steps/],
    [{ stages: [{ steps: 2, learning_rat: 1 }] }, /unknown key `learning_rat`/],
    [{ stages: [{ steps: 2, objective: { nam: "entropy" } }] }, /unknown key `nam`/],
    [
      { stages: [{ steps: 2, objective: { temperature: 2 } }] },
      /objective.temperature: expected 1 with objective.name/,
    ],
    [{ stages: [{ steps: 0 }] }, /stages.0.steps: expected a number >= 1, found 0/],
    [
      { stages: [...TWO, { parametrisation: "scalar", steps: 3 }] },
      /stages.2.parametrisation: expected a stage that can start from the weights that all_weights ended with, found scalar/,
    ],
    [
      { stages: [{ steps: 4, warmup_steps: 4 }] },
      /stages.0.warmup_steps: expected fewer warm-up steps.*\(4\), found 4/,
    ],
    [{ stages: [{ steps: 4 }], optimizer: { warmup_steps: 9 } }, /stages.0.steps: expected fewer warm-up steps/],
    [{ stages: TWO, granularity: "task-wise" }, /granularity: expected layer-wise with parametrisation all_weights/],
    [{ stages: TWO, data: { gradient_images: 4 } }, /data.gradient_images: expected 0/],
  ])("%o", (settings, message) => {
    expect(() => parse(settings)).toThrow(message);
  });

  it("nothing of stages that are all scalar", () => {
    const scalar = [{ steps: 4 }, { steps: 3, objective: { name: "expert_divergence" } }];
    expect(parse({ stages: scalar, granularity: "task-wise" }).steps).toBe(7);
  });
});
