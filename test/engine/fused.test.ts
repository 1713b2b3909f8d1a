/**
 * The fused ops and their hand-written gradients in a compiled program, against their plain forms with tfjs's own
 * autodiff run eagerly on cpu: values and the gradient of every input under a random upstream gradient.
 */
import { afterAll, describe, expect, it } from "vitest";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import { activate, plainGelu, plainGeluTanh, plainQuickGelu } from "../../src/engine/ops/activation.js";
import { addWeighted, plainAddWeighted } from "../../src/engine/ops/add-weighted.js";
import { attention, plainAttention } from "../../src/engine/ops/attention.js";
import { valueAndGradients } from "../../src/engine/ops/gradients.js";
import { layerNorm, plainLayerNorm } from "../../src/engine/ops/layer-norm.js";
import { columnSums, linear, plainLinear } from "../../src/engine/ops/linear.js";
import { lowRankLinear, plainLowRankLinear } from "../../src/engine/ops/low-rank-linear.js";
import { type Program, sizeOf, type TensorSpec, type TensorValues } from "../../src/engine/program.js";
import { type Tensor, tf } from "../../src/engine/tf.js";
import { tfjs } from "../../src/engine/tfjs.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { traceProgram } from "../../src/engine/trace/trace-program.js";
import { randomArray, relativeError } from "../support/random.js";

type Op = (...inputs: Tensor[]) => Tensor;
const CAUSAL = [0, -1e9, -1e9, 0, 0, -1e9, 0, 0, 0];
interface Row {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  readonly fused: Op;
  readonly plain: Op;
  /** The operator that the compiled program must contain. */
  readonly operator: string;
}

const missing = tf.scalar(0);
const spread =
  (op: (a: Tensor, b: Tensor, c: Tensor) => Tensor): Op =>
  (a = missing, b = missing, c = missing) =>
    op(a, b, c);

const someKept = (): Tensor =>
  tf.tensor(
    Array.from({ length: 72 }, (_, index) => (index % 3 === 0 ? 0 : 1)),
    [2, 3, 12],
  );

const rows: Row[] = [
  {
    name: "layer norm",
    shapes: [[6, 7, 16], [16], [16]],
    operator: "LayerNormalization",
    fused: spread((x, g, b) => layerNorm(x, g, b, 1e-5)),
    plain: spread((x, g, b) => plainLayerNorm(x, g, b, 1e-5)),
  },
  {
    name: "linear with bias",
    shapes: [[9, 12], [5, 12], [5]],
    operator: "Gemm",
    fused: spread((x, w, b) => linear(x, w, b)),
    plain: spread((x, w, b) => plainLinear(x, w, b)),
  },
  ...[[[9, 12]], [[2, 3, 12], [5]]].map(
    ([x = [], bias]): Row => ({
      name: `linear with factors, ${bias === undefined ? "without" : "with"} bias`,
      shapes: [x, [5, 12], [2, 12], [5, 2], ...(bias === undefined ? [] : [bias])],
      operator: "Gemm",
      fused: (own = missing, w = missing, aRI = missing, bOR = missing, b?: Tensor) =>
        lowRankLinear(own, w, { aRI, bOR }, b),
      plain: (own = missing, w = missing, aRI = missing, bOR = missing, b?: Tensor) =>
        plainLowRankLinear(own, w, { aRI, bOR }, b),
    }),
  ),
  {
    name: "linear with factors that are given some values of x",
    shapes: [[2, 3, 12], [5, 12], [2, 12], [5, 2], [5]],
    operator: "Gemm",
    fused: (own = missing, w = missing, aRI = missing, bOR = missing, b?: Tensor) =>
      lowRankLinear(own, w, { aRI, bOR, keptX: someKept() }, b),
    plain: (own = missing, w = missing, aRI = missing, bOR = missing, b?: Tensor) =>
      plainLowRankLinear(own, w, { aRI, bOR, keptX: someKept() }, b),
  },
  {
    name: "linear without bias",
    shapes: [
      [2, 3, 12],
      [5, 12],
    ],
    operator: "Gemm",
    fused: spread((x, w) => linear(x, w)),
    plain: spread((x, w) => linear(x, w)),
  },
  {
    name: "quick_gelu",
    shapes: [[4, 33]],
    operator: "QuickGelu",
    fused: spread((x) => activate("quick_gelu", x)),
    plain: spread((x) => plainQuickGelu(x)),
  },
  {
    name: "gelu",
    shapes: [[4, 33]],
    operator: "Gelu",
    fused: spread((x) => activate("gelu", x)),
    plain: spread((x) => plainGelu(x)),
  },
  {
    name: "gelu_tanh",
    shapes: [[4, 33]],
    operator: "FastGelu",
    fused: spread((x) => activate("gelu_tanh", x)),
    plain: spread((x) => plainGeluTanh(x)),
  },
  {
    name: "relu",
    shapes: [[4, 33]],
    operator: "Relu",
    fused: spread((x) => activate("relu", x)),
    plain: spread((x) => tf.relu(x)),
  },
  {
    name: "rows of a table, some of them twice",
    shapes: [[7, 4]],
    operator: "ScatterElements",
    fused: spread((x) => tf.gather(x, tf.tensor2d([6, 0, 6, 3, 6, 0], [2, 3], "int32"))),
    plain: spread((x) => tf.gather(x, tf.tensor2d([6, 0, 6, 3, 6, 0], [2, 3], "int32"))),
  },
  {
    name: "rows of tables",
    shapes: [[2, 7, 4]],
    operator: "ScatterElements",
    fused: spread((x) => tf.gather(x, tf.tensor2d([6, 0, 6, 3, 6, 0], [2, 3], "int32"), 1)),
    plain: spread((x) => tf.gather(x, tf.tensor2d([6, 0, 6, 3, 6, 0], [2, 3], "int32"), 1)),
  },
  {
    name: "attention",
    shapes: [
      [2, 3, 5, 8],
      [2, 3, 5, 8],
      [2, 3, 5, 8],
    ],
    operator: "Softmax",
    fused: spread(attention),
    plain: spread(plainAttention),
  },
  {
    name: "attention with a mask",
    shapes: [
      [2, 3, 3, 8],
      [2, 3, 3, 8],
      [2, 3, 3, 8],
    ],
    operator: "Softmax",
    fused: spread((query, key, value) => attention(query, key, value, tf.tensor2d(CAUSAL, [3, 3]))),
    plain: spread((query, key, value) => plainAttention(query, key, value, tf.tensor2d(CAUSAL, [3, 3]))),
  },
  {
    name: "add weighted",
    shapes: [[40], [3, 40], [3]],
    operator: "Gemm",
    fused: spread(addWeighted),
    plain: spread(plainAddWeighted),
  },
  {
    name: "column sums",
    shapes: [[50, 6]],
    operator: "Gemm",
    fused: spread((x) => columnSums(x)),
    plain: spread((x) => tf.sum(x, 0)),
  },
];

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => onnx.close());

/** Value and input gradients of `op` under the upstream gradient `dy`. */
function gradientProgram(row: Row, op: Op, outputShape: readonly number[]): Program {
  const names = row.shapes.map((_, index) => `x${index}`);
  return {
    name: row.name,
    frozen: new Map(),
    inputs: new Map(
      [...row.shapes, outputShape].map((shape, index): [string, TensorSpec] => [
        names[index] ?? "dy",
        { shape, dtype: "float32" },
      ]),
    ),
    build: (tensors) => {
      const inputs = names.map((name) => tensors.get(name) ?? missing);
      const { value, gradients } = valueAndGradients(op, inputs, tensors.get("dy") ?? missing);
      return new Map([
        ["value", value],
        ...gradients.map((gradient, index): [string, Tensor] => [`d${names[index]}`, gradient]),
      ]);
    },
  };
}

describe("fused ops equal their plain forms", () => {
  it.each(rows.map((row) => [row.name, row] as const))("%s", async (_, row) => {
    const eager = await createTfjsEngine("cpu");
    const shape = tfjs.tidy(() => row.plain(...row.shapes.map((dims) => tf.zeros([...dims]))).shape);
    const inputs = new Map<string, TensorValues>();
    for (const [name, spec] of gradientProgram(row, row.fused, shape).inputs) {
      inputs.set(name, randomArray(sizeOf(spec.shape), inputs.size + 7, -2, 2));
    }
    const expected = await (await eager.compile(gradientProgram(row, row.plain, shape))).run(inputs);
    const program = gradientProgram(row, row.fused, shape);
    expect([...traceProgram(program).operators.keys()]).toContain(row.operator);
    const found = await (await onnx.compile(program)).run(inputs);
    expect([...found.keys()]).toEqual([...expected.keys()]);
    for (const [name, values] of expected) {
      expect(relativeError(found.get(name) ?? [], values), `${row.name}: ${name}`).toBeLessThan(3e-6);
    }
  });
});

it("counts the matrix products that its outputs need", () => {
  const x: TensorSpec = { shape: [4, 3], dtype: "float32" };
  const program: Program = {
    name: "products",
    frozen: new Map(),
    inputs: new Map([
      ["x", x],
      ["batch", { shape: [2, 4, 3], dtype: "float32" }],
    ]),
    build: (tensors) => {
      const [x, batch] = [tensors.get("x") ?? missing, tensors.get("batch") ?? missing];
      tf.matMul(x, x, true, false);
      const square = tf.matMul(x, x, false, true);
      return new Map([
        ["y", tf.matMul(batch, tf.tile(tf.expandDims(x, 0), [2, 1, 1]), false, true)],
        ["z", square],
      ]);
    },
  };
  expect(traceProgram(program).products).toEqual([
    { batch: 1, rows: 4, inner: 3, columns: 4 },
    { batch: 2, rows: 4, inner: 3, columns: 4 },
  ]);
});

describe("frozen and typed inputs", () => {
  const program: Program = {
    name: "typed",
    frozen: new Map([["half", { shape: [2, 2], dtype: "float16" }]]),
    inputs: new Map([["pixels", { shape: [2, 2], dtype: "uint8" }]]),
    build: (tensors) => new Map([["y", tf.add(tensors.get("half") ?? missing, tensors.get("pixels") ?? missing)]]),
  };
  // 1, -2, 0.5 and the largest float16 as bit patterns.
  const half = Uint16Array.of(0x3c00, 0xc000, 0x3800, 0x7bff);
  it.each(["onnx", "tfjs"])("%s widens float16 and uint8", async (name) => {
    const engine = name === "onnx" ? onnx : await createTfjsEngine("cpu");
    const executable = await engine.compile(program);
    const run = () => executable.run(new Map([["pixels", Uint8Array.of(0, 255, 3, 0)]]));
    await expect(run()).rejects.toThrow(/no values bound for half/);
    await expect(executable.bind(new Map([["half", { kind: "memory", values: half.subarray(1) }]]))).rejects.toThrow(
      /tensor half needs 8 bytes \(float16 \[2, 2\]\), got 6/,
    );
    await executable.bind(new Map([["half", { kind: "memory", values: half }]]));
    expect([...((await run()).get("y") ?? [])]).toEqual([1, 253, 3.5, 65504]);
    await expect(executable.run(new Map())).rejects.toThrow(/input pixels needs 4 values/);
  });
});

describe("eager engine", () => {
  it("frees every tensor of a run", async () => {
    const engine = await createTfjsEngine("cpu");
    const row = rows[0];
    if (row === undefined) throw new Error("no rows");
    const executable = await engine.compile(gradientProgram(row, row.plain, [6, 7, 16]));
    const inputs = new Map(
      [...row.shapes, [6, 7, 16]].map((shape, index): [string, TensorValues] => [
        ["x0", "x1", "x2", "dy"][index] ?? "",
        randomArray(sizeOf(shape), index),
      ]),
    );
    await executable.run(inputs);
    const before = tfjs.memory().numTensors;
    for (let repeat = 0; repeat < 3; repeat++) await executable.run(inputs);
    expect(tfjs.memory().numTensors).toBe(before);
  });
});
