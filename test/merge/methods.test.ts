/** Properties that merging methods share, over the registry: a new method is covered by adding it there. */
import { describe, expect, it } from "vitest";
import type { ModelProbe } from "../../src/merge/methods/method.js";
import { mergeMethods } from "../../src/merge/methods/registry.js";
import { createRng } from "../../src/runtime/rng.js";
import { memorySource, mergeAll } from "../support/merge-source.js";
import { relativeError } from "../support/random.js";

const TENSORS = [
  { name: "embeddings.weight", shape: [5, 7] },
  { name: "layers.0.fc.weight", shape: [8, 6] },
  { name: "layers.0.fc.bias", shape: [8] },
  { name: "layers.1.conv.weight", shape: [3, 2, 2, 2] },
];
const SIZE = TENSORS.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
const rng = createRng(1, "merge methods");
const normal = (scale: number) => Float32Array.from({ length: SIZE }, () => scale * rng.nextNormal());
const base = normal(0.5);
const taus = [normal(0.05), normal(0.05), normal(0.05)];
/**
 * Answers as a model on images might: a Gram matrix and Fisher information that hang on the weights alone, since here experts are known by
 * their weights and not by their places.
 */
const probe: ModelProbe = {
  grams: async (_task, weights) => {
    const grams = new Map<string, Float64Array>();
    for (const { name, shape } of TENSORS) {
      const [outputs = 0, inputs = 0] = shape;
      const own = weights.get(name) ?? new Float32Array();
      if (shape.length !== 2) continue;
      const at = (row: number, column: number) => own[row * inputs + column] ?? 0;
      const product = (i: number, j: number) =>
        Array.from({ length: outputs }, (_, row) => at(row, i) * at(row, j)).reduce((a, b) => a + b, i === j ? 1 : 0);
      const gram = Float64Array.from({ length: inputs * inputs }, (_, index) =>
        product(Math.floor(index / inputs), index % inputs),
      );
      grams.set(name, gram);
    }
    return grams;
  },
  // As if the scale of the test's one vector were multiplied by numbers that hang on it.
  squares: async (_task, weights) =>
    new Map([
      ["layers.0.fc.bias", Float64Array.from(weights.get("layers.0.fc.bias") ?? [], (value) => 1 + value * value)],
    ]),
  fisher: async (_task, weights) =>
    new Map([...weights].map(([name, values]) => [name, Float64Array.from(values, (value) => value * value)])),
  // As if the entropy were half the squared distance from a point that no model is at.
  entropyGradient: async (_task, weights) =>
    new Map([...weights].map(([name, values]) => [name, Float64Array.from(values, (value, i) => value - Math.sin(i))])),
};
const merge = (name: string, parameters: object, vectors = taus, { seed = 0, pieceElements = 11 } = {}) =>
  mergeAll(name, parameters, { source: memorySource(TENSORS, base, vectors), probe, seed, pieceElements });
const sumOf = (vectors: readonly Float32Array[], scale: number) =>
  base.map((value, i) => value + scale * vectors.reduce((total, tau) => total + (tau[i] ?? 0), 0));
const changeError = (found: Float32Array, wanted: Float32Array) =>
  relativeError(
    found.map((value, i) => value - (base[i % SIZE] ?? 0)),
    wanted.map((value, i) => value - (base[i % SIZE] ?? 0)),
  );

/** Parameters under which a method gives back a single expert whole. */
const WHOLE: Readonly<Record<string, object>> = {
  weight_averaging: {},
  linear: { weights: [1] },
  task_arithmetic: { scale: 1 },
  ties: { density: 1, scale: 1 },
  dare_linear: { drop_rate: 0, scale: 1 },
  dare_ties: { drop_rate: 0, density: 1, scale: 1 },
  breadcrumbs: { density: 1, gamma: 0, scale: 1 },
  consensus: { min_tasks: 1, scale: 1 },
  lines: { alpha: 1, beta: 0 },
  sce: { select_topk: 1, scale: 1 },
  fisher: {},
  regmean: {},
  regmean_pp: {},
  lot: { scale: 1 },
  fw_hard: { scale: 1 },
  tsv_m: { scale: 1 },
  svc: { scale: 1 },
  knots: { density: 1, scale: 1 },
  cart: {},
  wudi: {},
  tall_mask: {},
  emr: {},
};
/** ISO-C and Iso-CTS flatten the spectrum and PCB weighs elements against one another, of a single expert too. */
const NEVER_WHOLE = ["iso_c", "iso_cts", "pcb"];

describe.each([...mergeMethods.keys()])("%s", (name) => {
  it("gives back a single expert", async () => {
    const parameters = WHOLE[name];
    if (parameters === undefined) return expect(NEVER_WHOLE).toContain(name);
    const [only] = taus;
    expect(changeError(await merge(name, parameters, only ? [only] : []), sumOf(taus.slice(0, 1), 1))).toBeLessThan(
      2e-6,
    );
  });

  it("does not depend on the order of the experts", async () => {
    // Its weights are given by position, and models for each task come in the order of the tasks.
    if (name === "linear" || mergeMethods.get(name)?.perTask === true) return;
    // What DARE drops is keyed by the task's name, which here is its position.
    const parameters = name.startsWith("dare") ? { drop_rate: 0 } : {};
    const forward = await merge(name, parameters);
    expect(changeError(await merge(name, parameters, taus.toReversed()), forward)).toBeLessThan(2e-6);
  });

  it("does not depend on the size of the pieces", async () => {
    const parameters = name === "linear" ? { weights: [0.1, 0.2, 0.3] } : {};
    const small = await merge(name, parameters, taus, { pieceElements: 3 });
    expect([...small]).toEqual([...(await merge(name, parameters, taus, { pieceElements: 1 << 20 }))]);
  });

  it("leaves the base alone when nothing changed", async () => {
    const zeros = taus.map((tau) => new Float32Array(tau.length));
    const merged = await merge(name, name === "linear" ? { weights: [1, 1, 1] } : {}, zeros);
    expect([...merged.subarray(0, SIZE)]).toEqual([...base]);
  });

  it("has a title, a paper and described parameters", () => {
    const method = mergeMethods.get(name);
    expect(method?.title).not.toBe("");
    expect(method?.paper).toMatch(/^https:\/\/arxiv\.org\/abs\/\d{4}\.\d{5}$/);
    for (const [key, schema] of Object.entries(method?.parameters.shape ?? {}))
      expect(Reflect.get(schema, "description"), key).toMatch(/\w/);
  });
});

describe("simpler methods as special cases", () => {
  it.each([
    ["ties", { density: 1e-9, scale: 1 }, 0],
    ["dare_linear", { drop_rate: 0, scale: 0.3 }, 0.3],
    ["breadcrumbs", { density: 1, gamma: 0, scale: 0.3 }, 0.3],
    ["consensus", { mask_threshold: 0, min_tasks: 3, scale: 0.3 }, 0.3],
    ["lines", { alpha: 0.3, beta: 0 }, 0.3],
    ["linear", { weights: [2, 2, 2], normalize: true }, 1 / 3],
  ])("%s %o is task arithmetic at %d", async (name, parameters, scale) => {
    const merged = await merge(name, parameters);
    if (scale > 0) return expect(changeError(merged, sumOf(taus, scale))).toBeLessThan(2e-6);
    // Of each task only the largest element is left.
    expect(merged.filter((value, i) => value !== base[i]).length).toBeLessThanOrEqual(taus.length);
  });
});

describe("DARE", () => {
  it("drops the asked share, rescales the rest, and follows the seed", async () => {
    const many = 40_000;
    const tensors = [{ name: "w", shape: [many] }];
    const zeros = new Float32Array(many);
    const ones = zeros.map(() => 1);
    const drop = (seed: number) =>
      mergeAll(
        "dare_linear",
        { drop_rate: 0.9, scale: 1 },
        {
          source: memorySource(tensors, zeros, [ones, ones]),
          seed,
          pieceElements: 1000,
        },
      );
    const merged = await drop(1);
    // Each element is 0, 10 or 20: two independent drops. Five standard deviations of a binomial around the mean.
    const counts = [0, 10, 20].map((value) => merged.filter((found) => Math.abs(found - value) < 1e-4).length);
    expect(counts.reduce((a, b) => a + b, 0)).toBe(many);
    for (const [index, probability] of [0.81, 0.18, 0.01].entries())
      expect(Math.abs((counts[index] ?? 0) / many - probability)).toBeLessThan(
        5 * Math.sqrt((probability * (1 - probability)) / many),
      );
    expect([...(await drop(1))]).toEqual([...merged]);
    expect([...(await drop(2))]).not.toEqual([...merged]);
  });
});

it("wrong parameters are refused with their name", async () => {
  await expect(merge("ties", { density: 0 })).rejects.toThrow(/density/);
  await expect(merge("ties", { densty: 0.2 })).rejects.toThrow(/densty/);
  await expect(merge("linear", { weights: [1] })).rejects.toThrow("expected 3 numbers");
});

it.each([
  ["ties", { density: 0.1 }, { density: 0.6 }],
  ["lines", { merge: "sum" }, { merge: "ties" }],
  ["pcb", { ratio: 0.1 }, { ratio: 0.6 }],
  ["fisher", { examples: 2, coverage: 0.5 }, { examples: 4 }],
  ["regmean", { off_diagonal: 1 }, { off_diagonal: 0.5 }],
  ["lot", { examples: 4 }, { tolerance: 0.5 }],
  ["fw_hard", { scale: 0.3 }, { scale: 1 }],
])("%s takes no finding that other settings gave", async (name, first, second) => {
  const source = memorySource(TENSORS, base, taus);
  const plain = { source, probe, seed: 0, pieceElements: 11 };
  const findings = new Map<string, unknown>();
  for (const settings of [first, second, first])
    expect([...(await mergeAll(name, settings, { ...plain, findings }))]).toEqual([
      ...(await mergeAll(name, settings, plain)),
    ]);
  // The third merge had what the first found.
  expect(findings.size).toBeGreaterThanOrEqual(2);
});
