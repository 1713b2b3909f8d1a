import { describe, expect, it } from "vitest";
import { learningRateAt } from "../../src/optimize/schedule.js";

const at = (schedule: "constant" | "cosine" | "linear", warmupSteps = 0) =>
  Array.from({ length: 10 }, (_, index) =>
    learningRateAt(index + 1, { schedule, learningRate: 2, warmupSteps, steps: 10 }),
  );

describe("learning rate", () => {
  it("constant", () => expect(new Set(at("constant"))).toEqual(new Set([2])));
  it("linear falls to one step above zero", () => {
    expect(at("linear")[0]).toBe(2);
    expect(at("linear")[9]).toBeCloseTo(0.2, 12);
  });
  it("cosine halves in the middle", () => {
    expect(at("cosine")[0]).toBe(2);
    expect(at("cosine")[5]).toBeCloseTo(1, 12);
  });
  it("warm-up rises to the full rate and the schedule starts after it", () => {
    expect(at("cosine", 4).slice(0, 5)).toEqual([0.5, 1, 1.5, 2, 2]);
  });
});
