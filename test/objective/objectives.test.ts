/** Values of the objectives against closed forms, and the traps of entropy in float32. */
import { afterAll, expect, it } from "vitest";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import type { Program } from "../../src/engine/program.js";
import { type Tensor, tf } from "../../src/engine/tf.js";
import { meanCrossEntropy } from "../../src/objective/cross-entropy.js";
import { meanEntropy } from "../../src/objective/entropy.js";
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
      const { value, grads } = tf.valueAndGrads((...args: Tensor[]) => loss(args[0] ?? tf.scalar(0)))([
        tensors.get("logits") ?? tf.scalar(0),
      ]);
      return new Map([
        ["loss", value],
        ["gradient", grads[0] ?? value],
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
