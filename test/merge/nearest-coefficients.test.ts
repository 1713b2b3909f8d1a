/** The coefficients nearest to a merged tensor: those it was merged with, and what no coefficients give. */
import { expect, it } from "vitest";
import { nearestCoefficients } from "../../src/merge/nearest-coefficients.js";
import { randomArray } from "../support/random.js";

const SIZE = 40;
const base = randomArray(SIZE, 1);
const taskVectors = randomArray(2 * SIZE, 2);
const mergedWith = (a: number, b: number, taus = taskVectors): Float32Array =>
  base.map((value, s) => value + a * (taus[s] ?? 0) + b * (taus[SIZE + s] ?? 0));

it("are those of a tensor that was merged with some", () => {
  const { coefficientsK, outside } = nearestCoefficients(base, taskVectors, mergedWith(0.7, -0.2));
  expect(coefficientsK[0]).toBeCloseTo(0.7, 5);
  expect(coefficientsK[1]).toBeCloseTo(-0.2, 5);
  expect(outside).toBeLessThan(1e-5);
});

it("leave outside what is orthogonal to the task vectors", () => {
  const taus = taskVectors.map((value, index) => (index % SIZE < SIZE / 2 ? value : 0));
  const merged = mergedWith(0.5, 0.5, taus).map((value, s) => (s < SIZE / 2 ? value : value + 1));
  const { coefficientsK, outside } = nearestCoefficients(base, taus, merged);
  expect(coefficientsK[0]).toBeCloseTo(0.5, 5);
  const inside = mergedWith(0.5, 0.5, taus).reduce((sum, value, s) => sum + (value - (base[s] ?? 0)) ** 2, 0);
  expect(outside).toBeCloseTo(Math.sqrt(SIZE / 2 / (SIZE / 2 + inside)), 5);
});

it("are shared by task vectors that are alike, and zero where there is none", () => {
  const alike = Float32Array.from([...taskVectors.subarray(0, SIZE), ...taskVectors.subarray(0, SIZE)]);
  const { coefficientsK } = nearestCoefficients(base, alike, mergedWith(1, 0, alike));
  expect(coefficientsK[0]).toBeCloseTo(0.5, 4);
  expect(coefficientsK[1]).toBeCloseTo(0.5, 4);
  expect(nearestCoefficients(base, new Float32Array(2 * SIZE), base)).toEqual({
    coefficientsK: Float64Array.of(0, 0),
    outside: 0,
  });
});
