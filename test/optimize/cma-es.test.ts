/** CMA-ES on functions whose minimum is known, with the numbers of evaluations that the literature reports for it. */
import { describe, expect, it } from "vitest";
import { askCmaEs, initCmaEs, populationSize, tellCmaEs } from "../../src/optimize/cma-es.js";
import { createRng } from "../../src/runtime/rng.js";

type Problem = (x: readonly number[]) => number;
const sphere: Problem = (x) => x.reduce((sum, value) => sum + value ** 2, 0);
/** Condition 1e4, not along the axes. */
const ellipsoid: Problem = (x) =>
  x.reduce((sum, _, i) => {
    const [a, b] = [x[i] ?? 0, x[(i + 1) % x.length] ?? 0];
    return sum + 10 ** ((4 * i) / (x.length - 1)) * ((a + b) / Math.SQRT2) ** 2;
  }, 0);
const rosenbrock: Problem = (x) =>
  x.slice(1).reduce((sum, value, i) => {
    const before = x[i] ?? 0;
    return sum + 100 * (value - before ** 2) ** 2 + (before - 1) ** 2;
  }, 0);

/** Evaluations until a candidate is below `target`. */
function evaluationsTo(
  target: number,
  problem: Problem,
  start: readonly number[],
  sigma: number,
  seed: number,
): number {
  const rng = createRng(seed, "cma-es");
  let state = initCmaEs(start, sigma);
  for (let evaluations = 0; evaluations < 50_000; ) {
    const candidates = askCmaEs(state, rng);
    const values = candidates.map(problem);
    evaluations += candidates.length;
    if (Math.min(...values) < target) return evaluations;
    state = tellCmaEs(state, candidates, values);
  }
  return Number.POSITIVE_INFINITY;
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

describe("CMA-ES", () => {
  // Hansen & Ostermeier 2001 and later: some 100 D evaluations on the sphere for ten digits, 300 to 700 D on Rosenbrock.
  it.each([
    ["sphere", sphere, 8, 1e-10, 8 * 60, 8 * 160],
    ["rotated ellipsoid", ellipsoid, 8, 1e-10, 8 * 150, 8 * 700],
    ["Rosenbrock", rosenbrock, 8, 1e-10, 8 * 250, 8 * 1200],
  ] as const)("%s: as fast as it is known to be", (_name, problem, dimensions, target, least, most) => {
    const counts = [1, 2, 3, 4, 5].map((seed) =>
      evaluationsTo(target, problem, new Array<number>(dimensions).fill(0.1), 0.3, seed),
    );
    expect(median(counts)).toBeGreaterThan(least);
    expect(median(counts)).toBeLessThan(most);
  });

  it("sees ranks only: a monotone change of the values changes nothing", () => {
    const path = (transform: (value: number) => number) => {
      const rng = createRng(3, "cma-es");
      let state = initCmaEs([1, -1, 2], 0.5);
      for (let generation = 0; generation < 20; generation++) {
        const candidates = askCmaEs(state, rng);
        state = tellCmaEs(
          state,
          candidates,
          candidates.map((x) => transform(sphere(x))),
        );
      }
      return state;
    };
    expect(path((value) => Math.log(value) * 1e6)).toEqual(path((value) => value));
  });

  it("asks for 4 + 3 ln D candidates, and its state is plain data", () => {
    expect([2, 8, 20].map(populationSize)).toEqual([6, 10, 12]);
    const state = initCmaEs([0, 0], 1);
    expect(JSON.parse(JSON.stringify(state))).toEqual(state);
    expect(askCmaEs(state, createRng(1, "x"))).toEqual(askCmaEs(state, createRng(1, "x")));
  });
});
