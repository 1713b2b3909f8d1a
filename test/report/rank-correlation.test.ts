import { expect, it } from "vitest";
import { rankCorrelation } from "../../src/report/rank-correlation.js";

it("is 1 for any rising relation, -1 for any falling one", () => {
  const xs = [0.1, 3, 2, 10, -4];
  expect(rankCorrelation(xs.map((x) => [x, Math.exp(x)]))).toBeCloseTo(1, 12);
  expect(rankCorrelation(xs.map((x) => [x, -(x ** 3)]))).toBeCloseTo(-1, 12);
});

it("gives ties their mean rank, as scipy.stats.spearmanr does", () => {
  // scipy 1.17: spearmanr([1, 2, 2, 4, 5], [2, 1, 3, 3, 5]).statistic
  const pairs = [
    [1, 2],
    [2, 1],
    [2, 3],
    [4, 3],
    [5, 5],
  ] as const;
  expect(rankCorrelation(pairs)).toBeCloseTo(0.763157894736842, 12);
});

it("is not there for too few pairs or a constant", () => {
  expect(rankCorrelation([[1, 2]])).toBeUndefined();
  expect(
    rankCorrelation([
      [1, 2],
      [1, 3],
      [1, 4],
    ]),
  ).toBeUndefined();
});
