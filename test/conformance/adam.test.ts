/**
 * Our Adam against torch.optim.Adam in float64, on 500 gradients from 1e-12 to 1e3 (make-adam.py). Not the whole
 * fit. Tolerance: the two order a few products differently, so they agree to rounding, not to the bit.
 */
import { describe, expect, it } from "vitest";
import { type AdamState, initAdam, stepAdam } from "../../src/optimize/adam.js";
import { readFixture } from "./fixture.js";

const LEARNING_RATE = 1e-2;
const TOLERANCE = 1e-12;

function expectClose(found: ArrayLike<number>, expected: Float64Array): void {
  expect(found.length).toBe(expected.length);
  for (const [index, value] of expected.entries()) {
    const difference = Math.abs((found[index] ?? Number.NaN) - value);
    expect(difference, `element ${index}`).toBeLessThanOrEqual(TOLERANCE * Math.max(Math.abs(value), Number.MIN_VALUE));
  }
}

const fixture = await readFixture("adam/optimiser.safetensors");

describe.each([
  { key: "plain", weightDecay: 0 },
  { key: "decay", weightDecay: 0.01 },
])("adam equals torch.optim.Adam: weight decay $weightDecay", ({ key, weightDecay }) => {
  const options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay };
  const gradients = fixture.floats("gradients");
  const start = fixture.floats("start");
  const size = start.length;

  function run(updates: number): { parameters: Float64Array; state: AdamState } {
    let current = { parameters: start, state: initAdam(size) };
    for (let update = 0; update < updates; update++) {
      const gradient = gradients.subarray(update * size, (update + 1) * size);
      current = stepAdam(current.state, current.parameters, gradient, LEARNING_RATE, options);
    }
    return current;
  }

  it.each([1, 10, 500])("parameters after %i updates", (updates) => {
    expectClose(run(updates).parameters, fixture.floats(`${key}.after${updates}`));
  });

  it("both moments after 500 updates", () => {
    const { state } = run(500);
    expect(state.updates).toBe(500);
    expectClose(state.mean, fixture.floats(`${key}.first_moment`));
    expectClose(state.meanSquare, fixture.floats(`${key}.second_moment`));
  });

  it("leaves its arguments alone", () => {
    const state = initAdam(size);
    const parameters = Float64Array.from(start);
    stepAdam(state, parameters, gradients.subarray(0, size), LEARNING_RATE, options);
    expect(parameters).toEqual(start);
    expect(state).toEqual(initAdam(size));
  });
});
