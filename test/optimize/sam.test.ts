/** The move uphill of sharpness-aware steps. (Whole trajectories: test/conformance/objectives.test.ts; resuming: test/run/resume.test.ts.) */
import { describe, expect, it } from "vitest";
import { parseRunConfig } from "../../src/config/load.js";
import { isSharpnessAware, uphill } from "../../src/optimize/sam.js";

const at = Float64Array.of(0.5, -2, 0);
const slope = [3, -4, 12];

describe("uphill", () => {
  it("is rho along the gradient, plain", () => {
    const moved = uphill(at, slope, { rho: 0.26, adaptive: false });
    expect([...moved]).toEqual([0.5 + 0.06, -2 - 0.08, 0.24].map((value) => expect.closeTo(value, 12)));
  });

  it("goes by the square of each parameter, adaptive, and leaves zeros", () => {
    const length = Math.hypot(0.5 * 3, 2 * 4);
    const moved = uphill(at, slope, { rho: 0.1, adaptive: true });
    expect(moved[0]).toBeCloseTo(0.5 + (0.1 * 0.25 * 3) / length, 12);
    expect(moved[1]).toBeCloseTo(-2 - (0.1 * 4 * 4) / length, 12);
    expect(moved[2]).toBe(0);
  });

  it.each([false, true])("is nowhere without a gradient (adaptive %s)", (adaptive) => {
    expect(uphill(at, [0, 0, 0], { rho: 1, adaptive })).toEqual(at);
    expect(uphill(new Float64Array(3), slope, { rho: 1, adaptive: true })).toEqual(new Float64Array(3));
  });
});

it("rho 0 is plain steps, and settings that do not go together are refused", () => {
  expect(isSharpnessAware(parseRunConfig({ suite: "x" }).optimizer.sam)).toBe(false);
  const optimizer = (sam: object, more: object = {}) => parseRunConfig({ suite: "x", optimizer: { sam }, ...more });
  expect(isSharpnessAware(optimizer({ rho: 0.1 }).optimizer.sam)).toBe(true);
  expect(() => optimizer({ adaptive: true })).toThrow(/optimizer.sam.adaptive: expected false with rho 0/);
  expect(() => optimizer({ rho: -1 })).toThrow(/optimizer.sam.rho/);
  expect(() => optimizer({ rho: 0.1 }, { parametrisation: "rows" })).toThrow(
    /optimizer.sam.rho: expected 0 with parametrisation rows, found 0.1/,
  );
});
