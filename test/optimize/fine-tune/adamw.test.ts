/**
 * AdamW's kernel against the same written per element in float64, with pieces that end in the middle of a vector; the
 * norm; the factor that clips.
 */
import { expect, it } from "vitest";
import { sharedFloats } from "../../../src/engine/program.js";
import { clipFactor, createAdamW } from "../../../src/optimize/fine-tune/adamw.js";
import { DEFAULT_ADAMW } from "../../../src/optimize/fine-tune/options.js";
import type { Parameter } from "../../../src/optimize/fine-tune/parameters.js";
import { randomArray, relativeError } from "../../support/random.js";

function parameter(name: string, shape: readonly number[], length: number): Parameter {
  const [values, gradient] = [sharedFloats(length), sharedFloats(length)];
  values.set(randomArray(length, 1));
  const moments = { mean: new Float32Array(length), meanSquare: new Float32Array(length) };
  return { ...{ name, input: name, shape, values, gradient }, ...moments };
}

it.each([1, 3, 5, 8190, 8192, 20_001])(
  "updates %i values as the formula says, matrices with decay, biases without",
  (length) => {
    const adamw = createAdamW({
      ...DEFAULT_ADAMW,
      ...{ weightDecay: 0.1, rateFactor: ({ name }) => (name === "matrix" ? 0.5 : 1) },
    });
    const both = [parameter("matrix", [1, length], length), parameter("layer.bias", [length], length)];
    const expected = both.map(({ values }) => ({
      values: Float64Array.from(values),
      mean: new Float64Array(length),
      meanSquare: new Float64Array(length),
    }));
    for (let updates = 1; updates <= 4; updates++) {
      for (const { gradient } of both) gradient.set(randomArray(length, 10 + updates));
      adamw.update(both, { learningRate: 0.01, gradientFactor: 0.25, updates });
      for (const [index, { values, mean, meanSquare }] of expected.entries()) {
        const [rate, decay] = index === 0 ? [0.005, 0.1] : [0.01, 0];
        for (let at = 0; at < length; at++) {
          const slope = 0.25 * (both[index]?.gradient[at] ?? Number.NaN);
          const m = 0.9 * (mean[at] ?? 0) + 0.1 * slope;
          const v = 0.999 * (meanSquare[at] ?? 0) + 0.001 * slope ** 2;
          mean[at] = m;
          meanSquare[at] = v;
          const root = Math.sqrt(v / (1 - 0.999 ** updates)) + 1e-8;
          values[at] = (values[at] ?? 0) * (1 - rate * decay) - (rate * m) / (1 - 0.9 ** updates) / root;
        }
      }
    }
    for (const [index, { values, mean, meanSquare }] of both.entries()) {
      expect(relativeError(values, expected[index]?.values ?? [])).toBeLessThan(1e-6);
      expect(relativeError(mean, expected[index]?.mean ?? [])).toBeLessThan(1e-6);
      expect(relativeError(meanSquare, expected[index]?.meanSquare ?? [])).toBeLessThan(1e-6);
    }
  },
);

it("has the norm over all tensors, of large and of very small values", () => {
  const { gradientNorm } = createAdamW(DEFAULT_ADAMW);
  const both = [parameter("a", [20_001], 20_001), parameter("b", [7], 7)];
  for (const scale of [1, 1e-30, 1e30]) {
    let sum = 0;
    for (const { gradient } of both) {
      gradient.set(randomArray(gradient.length, 3).map((value) => scale * value));
      for (const value of gradient) sum += value ** 2;
    }
    expect(gradientNorm(both) / Math.sqrt(sum)).toBeCloseTo(1, 12);
  }
  both[1]?.gradient.fill(Number.NaN, 6);
  expect(gradientNorm(both)).toBeNaN();
});

it.each([
  { name: "encoder.layer.0.output.dense.weight", shape: [4, 4], decays: true },
  { name: "encoder.layer.0.output.dense.bias", shape: [4], decays: false },
  { name: "encoder.layer.0.output.LayerNorm.weight", shape: [4], decays: false },
  { name: "pre_layrnorm.weight", shape: [4], decays: false },
  { name: "embeddings.class_embedding", shape: [4], decays: true },
  { name: "encoder.layer.0.layer_scale1.lambda1", shape: [4], decays: true },
  { name: "head/task/weight", shape: [2, 4], decays: true },
  { name: "head/task/bias", shape: [2], decays: false },
])("$name decays as Trainer has it: $decays", ({ name, shape, decays }) => {
  expect(DEFAULT_ADAMW.decays({ name, shape })).toBe(decays);
});

it("clips as torch does: the limit over the norm and 1e-6, never up", () => {
  expect(clipFactor(4, 1)).toBe(1 / (4 + 1e-6));
  expect(clipFactor(1, 1)).toBe(1 / (1 + 1e-6));
  expect(clipFactor(0.5, 1)).toBe(1);
  expect(clipFactor(1e6, Number.POSITIVE_INFINITY)).toBe(1);
});
