/** The estimate of a step's memory beside what was measured, and the split that follows from it. */
import { describe, expect, it } from "vitest";
import { clipVisionModel } from "../../src/model/clip/vision-model.js";
import { microBatched } from "../../src/optimize/micro-batches.js";
import { estimateStepBytes, microBatches } from "../../src/optimize/step-memory.js";
import { STEP_INPUT_COEFFICIENTS } from "../../src/optimize/step-program.js";

const B32 = {
  hiddenSize: 768,
  intermediateSize: 3072,
  layers: 12,
  heads: 12,
  imageSize: 224,
  patchSize: 32,
  channels: 3,
  projectionSize: 512,
  activation: "quick_gelu",
  layerNormEpsilon: 1e-5,
} as const;
const NORMALIZATION = { rescaleFactor: 1, mean: [0, 0, 0], std: [1, 1, 1] } as const;
const size = { model: clipVisionModel(B32, NORMALIZATION), tasks: 8, adaptedTasks: 8, isHalf: false };

describe("memory of a step", () => {
  it("is near what `bench step` measured: ViT-B/32, 32 images, 1788 MiB", () => {
    const estimate = estimateStepBytes({ ...size, examples: 32 });
    expect(estimate / (1788 * 2 ** 20)).toBeGreaterThan(0.9);
    expect(estimate / (1788 * 2 ** 20)).toBeLessThan(1.25);
  });

  it("splits into the fewest equal passes that fit", () => {
    const whole = estimateStepBytes({ ...size, examples: 96 });
    expect(microBatches(0, 12, size)).toBe(1);
    expect(microBatches(whole, 12, size)).toBe(1);
    expect(microBatches(whole - 1, 12, size)).toBe(2);
    // 5 does not divide 12.
    expect(microBatches(estimateStepBytes({ ...size, examples: 8 * 2.5 }), 12, size)).toBe(6);
    expect(estimateStepBytes({ ...size, examples: 32, isHalf: true })).toBeGreaterThan(
      estimateStepBytes({ ...size, examples: 32 }),
    );
  });

  it("says how much the smallest step needs", () => {
    expect(() => microBatches(0.5e9, 16, size)).toThrow(
      /^memory_gb: expected at least 1\.\d\d for a step with one example of each of 8 tasks, found 0\.5\. Raise it, merge fewer/,
    );
  });
});

it("hands every pass its part of every task's images and of every target", async () => {
  const seen: Record<string, number[]>[] = [];
  const whole = microBatched(
    {
      bind: async () => {},
      close: async () => {},
      run: async (inputs) => {
        seen.push(Object.fromEntries([...inputs].map(([name, values]) => [name, [...values]])));
        return new Map([["loss", Float32Array.of(seen.length)]]);
      },
    },
    [4, 4],
    2,
  );
  const outputs = await whole.run(
    new Map<string, Float32Array | Uint8Array>([
      [STEP_INPUT_COEFFICIENTS, Float32Array.of(0.3)],
      ["images", Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)],
      ["targets/a", Float32Array.of(1, 0, 0, 1)],
    ]),
  );
  const coefficients = { [STEP_INPUT_COEFFICIENTS]: [Math.fround(0.3)] };
  expect(seen).toEqual([
    { ...coefficients, images: [1, 2, 5, 6], "targets/a": [1, 0] },
    { ...coefficients, images: [3, 4, 7, 8], "targets/a": [0, 1] },
  ]);
  expect([...(outputs.get("loss") ?? [])]).toEqual([1.5]);
});
