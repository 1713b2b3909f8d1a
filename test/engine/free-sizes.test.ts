/**
 * Programs as graphs of any size, run by ONNX Runtime at sizes that they were not traced at, against the same programs
 * run eagerly; and programs of which that cannot be had, refused. N and L are free, D is 6.
 */
import ort from "onnxruntime-node";
import { afterAll, describe, expect, it } from "vitest";
import { encodeModel } from "../../src/engine/onnx/encode-model.js";
import { activate } from "../../src/engine/ops/activation.js";
import { attention } from "../../src/engine/ops/attention.js";
import { layerNorm } from "../../src/engine/ops/layer-norm.js";
import { linear } from "../../src/engine/ops/linear.js";
import type { Program } from "../../src/engine/program.js";
import { type Tensor, tf } from "../../src/engine/tf.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { type FreeSize, traceFreeSizes } from "../../src/engine/trace/free-sizes.js";
import { randomArray, relativeError } from "../support/random.js";

const PLAIN = new Set(["FusedMatMul", "Gelu", "QuickGelu", "FastGelu"]);
const FREE: readonly FreeSize[] = [
  { name: "n", input: "x", axis: 0, tried: [101, 103, 107] },
  { name: "l", input: "x", axis: 1, tried: [11, 13, 17] },
];
const engine = await createTfjsEngine("cpu");
afterAll(() => engine.close());

type Build = (xNLD: Tensor, n: number, l: number) => Tensor;

const programOf =
  (build: Build) =>
  ([n = 1, l = 1]: readonly number[]): Program => ({
    name: "free",
    frozen: new Map(),
    inputs: new Map([["x", { shape: [n, l, 6], dtype: "float32" }]]),
    build: (tensors) => new Map([["y", build(tensors.get("x") ?? tf.scalar(0), n, l)]]),
  });

const heads: Build = (x, n, l) => tf.transpose(tf.reshape(x, [n, l, 2, 3]), [0, 2, 1, 3]);
const joined: Build = (x, n, l) => tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [n, l, 6]);
const columns = (seed: number): Tensor => tf.tensor1d(randomArray(6, seed));
const kernel = (): Tensor => tf.tensor2d(randomArray(36, 3), [6, 6]);
const twice = (x: Tensor, order: readonly number[]): Tensor => tf.transpose(tf.exp(tf.transpose(x, order)), order);

const programs: readonly [string, Build][] = [
  ["attention", (x, n, l) => joined(attention(heads(x, n, l), heads(tf.exp(x), n, l), heads(x, n, l)), n, l)],
  ["linear layers", (x) => linear(layerNorm(x, columns(0), columns(1), 1e-5), kernel(), columns(2))],
  [
    "products and sums of sizes",
    (x, n, l) => {
      const rows = tf.concat([tf.reshape(x, [n * l, 6]), tf.zeros([2 * n, 6])], 0);
      return tf.max(tf.reshape(rows, [n, (l + 2) * 6]), 1);
    },
  ],
  [
    "slices",
    (x, n, l) => tf.sum(tf.mul(tf.slice(x, [0, 1, 0], [n, l - 1, 6]), tf.slice(x, [0, 0, 2], [n, l - 1, 1])), 1),
  ],
  [
    "broadcasts",
    (x, n, l) => {
      const same = tf.mul(tf.ones([n, 2, 1]), tf.reshape(tf.concat([columns(4), columns(5)]), [1, 2, 6]));
      return tf.max(tf.concat([same, tf.tile(tf.slice(x, [0, 0, 0], [n, 1, 6]), [1, l, 1])], 1), 1);
    },
  ],
  ["means", (x) => tf.div(tf.sum(x, 1), tf.mean(tf.square(x), [0, 1]))],
  ...(["gelu", "quick_gelu", "gelu_tanh", "relu"] as const).map((name): [string, Build] => [
    name,
    (x) => activate(name, tf.mul(x, tf.scalar(3))),
  ]),
];

describe("a program of any size", () => {
  it.each(programs)("computes what it does at each: %s", async (_name, build) => {
    const { graph, outputs } = traceFreeSizes(programOf(build), FREE, PLAIN);
    expect(graph.nodes.filter(({ domain }) => domain !== "")).toEqual([]);
    const session = await ort.InferenceSession.create(encodeModel(graph, outputs), { logSeverityLevel: 4 });
    for (const sizes of [
      [1, 2],
      [2, 3],
      [5, 3],
      [3, 40],
    ]) {
      const [n = 1, l = 1] = sizes;
      const x = randomArray(n * l * 6, n + l);
      const { y } = await session.run({ x: new ort.Tensor("float32", x, [n, l, 6]) });
      const executable = await engine.compile(programOf(build)(sizes));
      const expected = (await executable.run(new Map([["x", x]]))).get("y") ?? new Float32Array();
      expect(relativeError(y?.data as Float32Array, expected)).toBeLessThan(1e-6);
    }
    await session.release();
  });

  it("names its free sizes, and computes each once", () => {
    const { graph, outputs } = traceFreeSizes(programOf(programs[0]?.[1] ?? heads), FREE, PLAIN);
    expect(graph.inputs.map(({ shape }) => shape)).toEqual([["n", "l", 6]]);
    expect(outputs.map(({ shape }) => shape)).toEqual([["n", "l", 6]]);
    expect(graph.nodes.filter(({ op }) => op === "Shape")).toHaveLength(2);
  });

  const refused: readonly [string, Build, RegExp][] = [
    ["constants", (x, n) => tf.mul(x, tf.tensor3d(randomArray(n, 1), [n, 1, 1])), /a constant of Mul differs/],
    ["factors", (x, n) => tf.mul(x, tf.scalar(1 / n)), /a constant of Mul differs/],
    ["operators", (x, n) => (n > 101 ? tf.exp(x) : tf.tanh(x)), /the operator Tanh \(Tanh_1\) differs/],
    ["more operators", (x, n) => (n > 101 ? tf.exp(tf.reshape(x, [-1])) : tf.reshape(x, [-1])), /differs/],
    ["attributes", (x, n) => twice(x, n > 101 ? [1, 0, 2] : [0, 2, 1]), /the operator Transpose/],
    [
      "other polynomials",
      (x, n, l) => tf.sum(tf.slice(x, [0, 0, 0], [n, Math.floor(l / 2), 6]), 1),
      /a size of Slice differs/,
    ],
    // Right at the two values that a line goes through, and nowhere else.
    ["a third value", (x, n, l) => tf.slice(x, [0, 0, 0], [n === 107 ? n - 1 : n, l, 6]), /differs/],
    ["outputs of a size that no input has", (x, n, l) => tf.reshape(x, [n * l, 6]), /the shape of y differs/],
  ];
  it.each(refused)("is refused where it depends on the sizes otherwise: %s", (_name, build, message) => {
    expect(() => traceFreeSizes(programOf(build), FREE, PLAIN)).toThrow(message);
  });
});
