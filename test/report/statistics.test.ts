import { describe, expect, it } from "vitest";
import { combinations } from "../../src/experiment/vary.js";
import { createBootstrap, deviation, mean, meanOf } from "../../src/report/statistics.js";
import { createRng } from "../../src/runtime/rng.js";

describe("bootstrap", () => {
  it("is the normal interval for many independent images", () => {
    const rng = createRng(5, "coins");
    const tasks = [0.9, 0.6].map((p) => Float64Array.from({ length: 2000 }, () => (rng.nextFloat() < p ? 100 : 0)));
    const averages = tasks.map((values) => mean([...values]));
    // Standard error of the mean of two independent tasks.
    const error = Math.sqrt(averages.reduce((sum, p) => sum + (p * (100 - p)) / 2000, 0)) / 2;
    const bootstrap = createBootstrap();
    const [low, high] = bootstrap(tasks);
    expect(Math.abs(low - (mean(averages) - 1.96 * error))).toBeLessThan(0.25 * error);
    expect(Math.abs(high - (mean(averages) + 1.96 * error))).toBeLessThan(0.25 * error);
    expect(bootstrap(tasks.map((values) => values.slice(1)))).not.toEqual([low, high]);
    expect(bootstrap(tasks)).toEqual([low, high]);
    expect(createBootstrap(1)(tasks)).not.toEqual([low, high]);
  });

  it("has no width when all images are alike", () => {
    expect(createBootstrap()([new Float64Array(10).fill(100), new Float64Array(10)])).toEqual([50, 50]);
  });
});

it("mean, deviation and means of rows", () => {
  expect(mean([1, 2, 6])).toBe(3);
  expect(deviation([2, 4, 4, 4, 5, 5, 7, 9])).toBeCloseTo(2.138089935, 9);
  expect(deviation([7])).toBe(0);
  expect([...meanOf([Float64Array.of(0, 100), Float64Array.of(100, 100)])]).toEqual([50, 100]);
});

it("combinations of a grid", () => {
  expect(combinations({ a: [1, 2], b: ["x", "y"] })).toEqual([
    { a: 1, b: "x" },
    { a: 1, b: "y" },
    { a: 2, b: "x" },
    { a: 2, b: "y" },
  ]);
  expect(combinations({})).toEqual([{}]);
});
