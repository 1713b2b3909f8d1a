/** Values of the objectives against closed forms, and the traps of entropy in float32. */
import { afterAll, expect, it } from "vitest";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import { valueAndGradients } from "../../src/engine/ops/gradients.js";
import type { Program } from "../../src/engine/program.js";
import { type Tensor, tf } from "../../src/engine/tf.js";
import { meanCrossEntropy, targetCrossEntropy, targetDivergence } from "../../src/objective/cross-entropy.js";
import { meanEntropy } from "../../src/objective/entropy.js";
import { type ObjectiveSpec, objectives } from "../../src/objective/objectives.js";
import { randomArray, relativeError } from "../support/random.js";

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => onnx.close());

/** Loss and gradient of the logits [B, C]. */
async function run(logits: Float32Array, classes: number, loss: (logitsBC: Tensor) => Tensor) {
  const program: Program = {
    name: "objective",
    frozen: new Map(),
    inputs: new Map([["logits", { shape: [logits.length / classes, classes], dtype: "float32" }]]),
    build: (tensors) => {
      const { value, gradients } = valueAndGradients(loss, [tensors.get("logits") ?? tf.scalar(0)]);
      return new Map([
        ["loss", value],
        ["gradient", gradients[0] ?? value],
      ]);
    },
  };
  const executable = await onnx.compile(program);
  const outputs = await executable.run(new Map([["logits", logits]]));
  await executable.close();
  return { loss: outputs.get("loss")?.[0] ?? Number.NaN, gradient: outputs.get("gradient") ?? new Float32Array() };
}

const entropy = (logits: Tensor): Tensor => meanEntropy(logits, { form: "log_softmax" });

it("uniform predictions have entropy log C and no gradient", async () => {
  const { loss, gradient } = await run(new Float32Array(12).fill(3), 4, entropy);
  expect(loss).toBeCloseTo(Math.log(4), 6);
  expect(Math.max(...gradient.map(Math.abs))).toBeLessThan(1e-6);
});

it("certain predictions have entropy 0 and gradient 0, not NaN", async () => {
  const { loss, gradient } = await run(Float32Array.of(200, 0, -200), 3, entropy);
  expect(loss).toBeCloseTo(0, 12);
  expect([...gradient].every((slope) => slope === 0 || Object.is(slope, -0))).toBe(true);
});

it("adding a constant to the logits changes nothing", async () => {
  const logits = randomArray(20, 4, -3, 3);
  const plain = await run(logits, 5, entropy);
  const shifted = await run(
    logits.map((value) => value + 50),
    5,
    entropy,
  );
  expect(shifted.loss).toBeCloseTo(plain.loss, 5);
});

it("the epsilon form differs from the exact one by about epsilon", async () => {
  const logits = randomArray(20, 4, -3, 3);
  const exact = await run(logits, 5, entropy);
  const epsilon = await run(logits, 5, (x) => meanEntropy(x, { form: "epsilon", epsilon: 1e-2 }));
  expect(exact.loss - epsilon.loss).toBeGreaterThan(1e-3);
  expect(exact.loss - epsilon.loss).toBeLessThan(0.1);
});

it("cross-entropy with smoothing and its gradient equal the closed form", async () => {
  const [classes, smoothing] = [4, 0.1];
  const labels = [2, 0, 3];
  const logits = randomArray(12, 8, -2, 2);
  const { loss, gradient } = await run(logits, classes, (x) =>
    meanCrossEntropy(x, tf.tensor1d(labels, "int32"), smoothing),
  );
  let expected = 0;
  const slopes: number[] = [];
  labels.forEach((label, row) => {
    const own = [...logits.subarray(row * classes, (row + 1) * classes)];
    const normalizer = Math.log(own.reduce((sum, value) => sum + Math.exp(value), 0));
    own.forEach((value, index) => {
      const target = smoothing / classes + (index === label ? 1 - smoothing : 0);
      expected -= (target * (value - normalizer)) / labels.length;
      slopes.push((Math.exp(value - normalizer) - target) / labels.length);
    });
  });
  expect(loss).toBeCloseTo(expected, 5);
  expect(relativeError(gradient, slopes)).toBeLessThan(1e-5);
});

/** Rows of logits and of target probabilities, some of them 0. */
const LOGITS = randomArray(20, 7, -3, 3);
const TARGETS = Float32Array.of(1, 0, 0, 0, 0.25, 0.25, 0.25, 0.25, 0, 0.9, 0.1, 0, 0, 0, 0, 1, 0.4, 0.3, 0.2, 0.1);

/** In float64, from the definitions. */
function expectedTargets() {
  let [crossEntropy, targetEntropy] = [0, 0];
  for (let row = 0; row < 5; row++) {
    const logits = [...LOGITS.subarray(row * 4, row * 4 + 4)];
    const logSum = Math.log(logits.reduce((sum, value) => sum + Math.exp(value), 0));
    for (const [column, logit] of logits.entries()) {
      const target = TARGETS[row * 4 + column] ?? 0;
      crossEntropy -= (target * (logit - logSum)) / 5;
      if (target > 0) targetEntropy -= (target * Math.log(target)) / 5;
    }
  }
  return { crossEntropy, divergence: crossEntropy - targetEntropy };
}

it("cross-entropy and divergence from targets: the definitions, and one gradient (softmax - targets) / B", async () => {
  const targets = () => tf.tensor2d(TARGETS, [5, 4]);
  const soft = await run(LOGITS, 4, (logits) => targetCrossEntropy(logits, targets()));
  const divergence = await run(LOGITS, 4, (logits) => targetDivergence(logits, targets()));
  const expected = expectedTargets();
  expect(soft.loss).toBeCloseTo(expected.crossEntropy, 5);
  expect(divergence.loss).toBeCloseTo(expected.divergence, 5);
  expect(relativeError(divergence.gradient, soft.gradient)).toBeLessThan(1e-6);
  const closed = Float32Array.from({ length: 20 }, (_, index) => {
    const row = LOGITS.subarray(Math.floor(index / 4) * 4, Math.floor(index / 4) * 4 + 4);
    const sum = row.reduce((total, value) => total + Math.exp(value), 0);
    return (Math.exp(LOGITS[index] ?? 0) / sum - (TARGETS[index] ?? 0)) / 5;
  });
  expect(relativeError(soft.gradient, closed)).toBeLessThan(2e-6);
});

it("one-hot targets are labels", async () => {
  const labels = Int32Array.of(2, 0, 3, 1, 1);
  const hot = Float32Array.from({ length: 20 }, (_, index) => (labels[Math.floor(index / 4)] === index % 4 ? 1 : 0));
  const byLabel = await run(LOGITS, 4, (logits) => meanCrossEntropy(logits, tf.tensor1d(labels, "int32")));
  const byTarget = await run(LOGITS, 4, (logits) => targetCrossEntropy(logits, tf.tensor2d(hot, [5, 4])));
  expect(byTarget.loss).toBeCloseTo(byLabel.loss, 6);
});

it("normalized entropy is 1 for uniform predictions of any number of classes", async () => {
  for (const classes of [2, 10, 50]) {
    const options = { form: "log_softmax", epsilon: 1e-8 } as const;
    const { loss } = await run(new Float32Array(classes * 3), classes, (logits) =>
      objectives.normalized_entropy.loss(logits, options),
    );
    expect(loss).toBeCloseTo(1, 6);
  }
});

it("an objective with targets fails without them", () => {
  const spec: ObjectiveSpec = objectives.cross_entropy;
  expect(() => spec.loss(tf.zeros([1, 2]), { form: "log_softmax", epsilon: 1e-8 })).toThrow(/needs targets/);
});
