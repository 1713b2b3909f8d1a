/** Divergences and the filter of pseudo-labels against their definitions, on hand-made predictions. */
import { afterAll, describe, expect, it } from "vitest";
import { parseRunConfig } from "../../src/config/load.js";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import { valueAndGradients } from "../../src/engine/ops/gradients.js";
import { type Tensor, tf } from "../../src/engine/tf.js";
import { expertDivergence, pseudoLabelLoss } from "../../src/objective/divergence.js";
import { softmax } from "../../src/optimize/softmax.js";
import { randomArray, relativeError } from "../support/random.js";

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => onnx.close());

/** Loss and gradient in the logits [B, C]. */
async function run(logits: Float32Array, targets: Float32Array, classes: number, loss: typeof pseudoLabelLoss) {
  const shape = [logits.length / classes, classes];
  const step = await onnx.compile({
    name: "divergence",
    frozen: new Map(),
    inputs: new Map([
      ["logits", { shape, dtype: "float32" as const }],
      ["targets", { shape, dtype: "float32" as const }],
    ]),
    build: (tensors) => {
      const of = (name: string): Tensor => tensors.get(name) ?? tf.scalar(0);
      const { value, gradients } = valueAndGradients((x) => loss(x ?? of("logits"), of("targets")), [of("logits")]);
      return new Map([
        ["loss", value],
        ["gradient", gradients[0] ?? value],
      ]);
    },
  });
  const outputs = await step.run(
    new Map([
      ["logits", logits],
      ["targets", targets],
    ]),
  );
  await step.close();
  return { loss: outputs.get("loss")?.[0] ?? Number.NaN, gradient: outputs.get("gradient") ?? new Float32Array() };
}

const LOGITS = randomArray(20, 7, -3, 3);
const EXPERT = randomArray(20, 11, -4, 4);
const rows = (values: Float32Array) => Array.from({ length: 5 }, (_, row) => values.subarray(row * 4, row * 4 + 4));

/** In float64, from the definition. */
function definition(kind: "kl" | "reverse_kl" | "js", temperature: number, logits: Float32Array): number {
  const expert = rows(EXPERT);
  return rows(logits).reduce((sum, row, index) => {
    const p = softmax(expert[index] ?? row, temperature);
    const q = softmax(row, temperature);
    const kl = (a: Float64Array, b: Float64Array) =>
      a.reduce((total, value, at) => total + value * Math.log(value / (b[at] ?? 0)), 0);
    if (kind === "kl") return sum + kl(p, q) / 5;
    if (kind === "reverse_kl") return sum + kl(q, p) / 5;
    const middle = p.map((value, at) => (value + (q[at] ?? 0)) / 2);
    return sum + (kl(p, middle) + kl(q, middle)) / 10;
  }, 0);
}

describe.each(["kl", "reverse_kl", "js"] as const)("%s", (kind) => {
  it.each([1, 2, 0.5])("at temperature %d: the definition and its differences", async (temperature) => {
    const targets = Float32Array.from(rows(EXPERT).flatMap((row) => [...softmax(row, temperature)]));
    const { loss, gradient } = await run(LOGITS, targets, 4, (x, y) => expertDivergence(x, y, kind, temperature));
    expect(loss).toBeCloseTo(definition(kind, temperature, LOGITS), 5);
    const differences = Array.from(LOGITS, (_, at) => {
      const moved = (by: number) => Float32Array.from(LOGITS, (value, index) => value + (index === at ? by : 0));
      return (definition(kind, temperature, moved(1 / 64)) - definition(kind, temperature, moved(-1 / 64))) * 32;
    });
    expect(relativeError(gradient, differences)).toBeLessThan(1e-3);
  });

  it("is 0 without a gradient where they agree, and finite where both are certain of different classes", async () => {
    const same = await run(LOGITS, Float32Array.from(rows(LOGITS).flatMap((row) => [...softmax(row)])), 4, (x, y) =>
      expertDivergence(x, y, kind),
    );
    expect(same.loss).toBeCloseTo(0, 6);
    expect(Math.max(...same.gradient.map(Math.abs))).toBeLessThan(1e-6);
    const apart = await run(Float32Array.of(200, 0), Float32Array.of(0, 1), 2, (x, y) => expertDivergence(x, y, kind));
    expect(Number.isFinite(apart.loss)).toBe(true);
    expect(apart.gradient.every(Number.isFinite)).toBe(true);
    if (kind === "js") expect(apart.loss).toBeCloseTo(Math.log(2), 5);
  });
});

describe("pseudo-labels", () => {
  const certain = (p: number) => Math.log(p / (1 - p));
  /** Two classes: the student's and the expert's probability of the first. */
  const loss = (student: number[], expert: number[]) =>
    run(
      Float32Array.from(student.flatMap((p) => [certain(p), 0])),
      Float32Array.from(expert.flatMap((p) => [p, 1 - p])),
      2,
      pseudoLabelLoss,
    );

  it.each([
    ["agreement of a surer expert", 0.6, 0.9, -Math.log(0.6)],
    ["agreement of a surer student", 0.9, 0.6, -Math.log(0.9)],
    ["disagreement of a surer expert", 0.4, 0.9, -Math.log(0.4)],
    ["disagreement of a surer student is dropped", 0.1, 0.6, 0],
  ])("%s", async (_, student, expert, wanted) => {
    const found = await loss([student], [expert]);
    expect(found.loss).toBeCloseTo(wanted, 5);
    if (wanted === 0) expect([...found.gradient].map(Math.abs)).toEqual([0, 0]);
    else expect(found.gradient[0]).toBeCloseTo(student - 1, 5);
  });

  it("the mean is over those that are kept", async () => {
    const { loss: found } = await loss([0.6, 0.1, 0.4, 0.2], [0.9, 0.6, 0.9, 0.7]);
    expect(found).toBeCloseTo(-(Math.log(0.6) + Math.log(0.4)) / 2, 5);
  });

  it("classes that an expert finds equally likely share the label", async () => {
    const { loss: found } = await run(new Float32Array(3), Float32Array.of(0.4, 0.4, 0.2), 3, pseudoLabelLoss);
    expect(found).toBeCloseTo(Math.log(3), 6);
  });
});

describe("settings that do not go together are refused", () => {
  it.each([
    [
      { name: "entropy", temperature: 2 },
      /objective.temperature: expected 1 with objective.name entropy, found 2; set/,
    ],
    [{ name: "pseudo_label", divergence: "js" }, /objective.divergence: expected kl with objective.name pseudo_label/],
    [{ name: "expert_divergence", temperature: 0 }, /objective.temperature/],
    [{ name: "expert_divergence", divergence: "tv" }, /objective.divergence/],
  ])("%o", (objective, message) => {
    expect(() => parseRunConfig({ suite: "x", objective })).toThrow(message);
  });

  it("and those that do are not", () => {
    const objective = { name: "expert_divergence", temperature: 2, divergence: "js" };
    expect(parseRunConfig({ suite: "x", objective }).objective).toMatchObject(objective);
  });
});
