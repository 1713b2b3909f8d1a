/** Learning may start from what training-free methods do: the parts add up to their merged models. */
import { describe, expect, it } from "vitest";
import { parseRunConfig } from "../../src/config/load.js";
import { processingOf, taskVectorProcessings } from "../../src/merge/task-vector-processings.js";
import { createRng } from "../../src/runtime/rng.js";
import { memorySource, mergeAll } from "../support/merge-source.js";
import { relativeError } from "../support/random.js";

const TENSORS = [
  { name: "embeddings.weight", shape: [5, 7] },
  { name: "layers.0.fc.weight", shape: [8, 6] },
  { name: "layers.0.fc.bias", shape: [8] },
  { name: "layers.1.conv.weight", shape: [3, 2, 2, 2] },
];
const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const SIZE = TENSORS.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
const rng = createRng(4, "processings");
const normal = (scale: number) => Float32Array.from({ length: SIZE }, () => scale * rng.nextNormal());
const base = normal(0.5);
const taus = [normal(0.05), normal(0.05), normal(0.05)];

type Name = keyof typeof taskVectorProcessings;

/** The processed task vectors of the whole model, K of [SIZE]. */
async function processed(name: Name, vectors: readonly Float32Array[] = taus): Promise<Float32Array[]> {
  const settings = { processing: name, origin: name === "cart" ? "average" : "pretrained" };
  const config = parseRunConfig({ suite: "x", task_vectors: settings });
  const stream = async function* () {
    let from = 0;
    for (const { name: tensor, shape } of TENSORS) {
      const to = from + sizeOf(shape);
      yield { name: tensor, shape, taskVectors: vectors.map((tauN) => tauN.slice(from, to)) };
      from = to;
    }
  };
  const change = await taskVectorProcessings[name].make(config.task_vectors).prepare(stream);
  const whole = taus.map(() => new Float32Array(SIZE));
  let from = 0;
  for await (const { name: tensor, shape, taskVectors } of stream()) {
    change(tensor, taskVectors, shape);
    for (const [task, tauN] of taskVectors.entries()) whole[task]?.set(tauN, from);
    from += sizeOf(shape);
  }
  return whole;
}

describe("processings of task vectors", () => {
  it.each([
    ["ties", "ties", { scale: 1, aggregation: "sum" }],
    ["consensus", "consensus", { scale: 1 }],
    ["tsv", "tsv_m", { scale: 1 }],
    ["iso_cts", "iso_cts", { scale: 1 }],
    ["svc", "svc", { scale: 1 }],
    ["pcb", "pcb", { ratio: 0.2, scale: 1 }],
    ["knots", "knots", { scale: 1 }],
  ] as const)("%s adds up to the merged model of %s", async (name, method, parameters) => {
    const merged = await mergeAll(method, parameters, {
      source: memorySource(TENSORS, base, taus),
      seed: 0,
      pieceElements: SIZE,
    });
    const own = await processed(name);
    const sum = Float32Array.from(base, (value, i) => value + own.reduce((total, tauN) => total + (tauN[i] ?? 0), 0));
    expect(relativeError(sum, merged)).toBeLessThan(1e-7);
    // What belongs to one task is not the K-th part of the sum.
    expect(relativeError(own[0] ?? new Float32Array(), own[1] ?? new Float32Array())).toBeGreaterThan(0.5);
  });

  it("cart, of task vectors from the experts' mean, adds up to the merged model of cart", async () => {
    const merged = await mergeAll(
      "cart",
      { ratio: 0.2, scale: 1 },
      { source: memorySource(TENSORS, base, taus), seed: 0, pieceElements: SIZE },
    );
    const mean = base.map((value, i) => value + taus.reduce((sum, tauN) => sum + (tauN[i] ?? 0), 0) / taus.length);
    const centred = taus.map((tauN) => tauN.map((tau, i) => (base[i] ?? 0) + tau - (mean[i] ?? 0)));
    const own = await processed("cart", centred);
    const sum = mean.map((value, i) => value + own.reduce((total, tauN) => total + (tauN[i] ?? 0), 0));
    expect(relativeError(sum, merged)).toBeLessThan(2e-7);
    // One direction of five is left of the first matrix, whole biases.
    expect(relativeError(own[0] ?? new Float32Array(), centred[0] ?? new Float32Array())).toBeGreaterThan(0.3);
    const bias = TENSORS.slice(0, 2).reduce((from, { shape }) => from + sizeOf(shape), 0);
    expect([...(own[0]?.subarray(bias) ?? [])]).toEqual([...(centred[0]?.subarray(bias) ?? [0])]);
  });

  it("have names of their own in bundles and tables, and none is `none`", () => {
    const settings = parseRunConfig({ suite: "x" }).task_vectors;
    const entries = Object.values(taskVectorProcessings);
    expect(new Set(entries.map(({ make }) => make(settings).id)).size).toBe(entries.length);
    expect(new Set(entries.map(({ suffix }) => suffix)).size).toBe(entries.length);
    expect(processingOf(settings)).toBeUndefined();
    expect(processingOf({ ...settings, processing: "tsv" })?.suffix).toBe("tsv");
  });
});
