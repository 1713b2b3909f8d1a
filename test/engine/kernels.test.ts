/**
 * Every traced kernel against tfjs cpu on random inputs, broadcasting included. A row is a function over tensors; the
 * last test proves that the rows together reach every kernel of the table.
 */
import { afterAll, describe, expect, it } from "vitest";
import { createOnnxEngine } from "../../src/engine/onnx-engine.js";
import { type Program, sizeOf, type TensorSpec, type TensorValues } from "../../src/engine/program.js";
import { type Tensor, tf } from "../../src/engine/tf.js";
import { createTfjsEngine } from "../../src/engine/tfjs-engine.js";
import { traceableKernels } from "../../src/engine/trace/trace-program.js";
import { randomArray, relativeError } from "../support/random.js";

interface Row {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  readonly kernels: readonly string[];
  readonly build: (...inputs: Tensor[]) => Tensor;
  readonly range?: readonly [number, number];
}

const number = (x: Tensor): Tensor => tf.cast(x, "float32");
const unary = (kernel: string, build: (x: Tensor) => Tensor, range?: readonly [number, number]): Row => ({
  name: kernel,
  shapes: [[3, 4, 5]],
  kernels: [kernel],
  build,
  ...(range === undefined ? {} : { range }),
});
/** Equal shapes, a trailing vector, a leading one, a scalar, both sides stretched, and a uniform constant on each side. */
const binary = (kernel: string, build: (a: Tensor, b: Tensor) => Tensor, range?: readonly [number, number]): Row[] =>
  [
    [
      [2, 3, 4],
      [2, 3, 4],
    ],
    [[2, 3, 4], [4]],
    [
      [3, 1],
      [2, 3, 4],
    ],
    [[2, 3, 4], []],
    [
      [5, 1],
      [1, 6],
    ],
  ]
    .map(
      (shapes): Row => ({
        name: `${kernel} ${JSON.stringify(shapes)}`,
        shapes,
        kernels: [kernel],
        build,
        ...(range === undefined ? {} : { range }),
      }),
    )
    .concat([
      {
        name: `${kernel} by one`,
        shapes: [[2, 3]],
        kernels: [kernel, "Fill"],
        build: (x) => build(x, tf.ones([4, 2, 3])),
      },
      {
        name: `one by ${kernel}`,
        shapes: [[2, 3]],
        kernels: [kernel, "Fill"],
        build: (x) => build(tf.ones([4, 1, 1]), tf.abs(x)),
      },
      {
        name: `${kernel} of constants`,
        shapes: [[2, 3]],
        kernels: [kernel],
        build: (x) => tf.add(x, build(tf.fill([2, 3], 2), tf.fill([3], 3))),
      },
    ]);

const positive = [0.1, 3] as const;
const rows: Row[] = [
  ...binary("Add", (a, b) => tf.add(a, b)),
  ...binary("Sub", (a, b) => tf.sub(a, b)),
  ...binary("Multiply", (a, b) => tf.mul(a, b)),
  ...binary("RealDiv", (a, b) => tf.div(a, b), positive),
  ...binary("Pow", (a, b) => tf.pow(tf.abs(a), b), positive),
  ...binary("Maximum", (a, b) => tf.maximum(a, b)),
  ...binary("Minimum", (a, b) => tf.minimum(a, b)),
  ...binary("SquaredDifference", (a, b) => tf.squaredDifference(a, b)),
  ...binary("Greater", (a, b) => number(tf.greater(a, b))),
  ...binary("GreaterEqual", (a, b) => number(tf.greaterEqual(a, b))),
  ...binary("Less", (a, b) => number(tf.less(a, b))),
  ...binary("LessEqual", (a, b) => number(tf.lessEqual(a, b))),
  ...binary("Equal", (a, b) => number(tf.equal(a, b))),
  ...binary("LogicalAnd", (a, b) => number(tf.logicalAnd(tf.greater(a, 0), tf.greater(b, 0)))),
  unary("LogicalNot", (x) => number(tf.logicalNot(tf.greater(x, 0)))),
  unary("Exp", (x) => tf.exp(x)),
  unary("Neg", (x) => tf.neg(x)),
  unary("Sqrt", (x) => tf.sqrt(x), positive),
  unary("Rsqrt", (x) => tf.rsqrt(x), positive),
  unary("Log", (x) => tf.log(x), positive),
  unary("Sigmoid", (x) => tf.sigmoid(x), [-4, 4]),
  unary("Tanh", (x) => tf.tanh(x)),
  unary("Relu", (x) => tf.relu(x)),
  unary("Erf", (x) => tf.erf(x)),
  unary("Abs", (x) => tf.abs(x)),
  unary("Sign", (x) => tf.sign(x)),
  unary("Reciprocal", (x) => tf.reciprocal(x), positive),
  unary("Square", (x) => tf.square(x)),
  unary("Step", (x) => tf.step(x, 0.25)),
  unary("Identity", (x) => tf.clone(x)),
  unary("ZerosLike", (x) => tf.add(tf.zerosLike(x), x)),
  unary("OnesLike", (x) => tf.mul(tf.onesLike(x), x)),
  unary("ClipByValue", (x) => tf.clipByValue(x, -0.3, 0.4)),
  unary("Cast", (x) => tf.cast(tf.cast(tf.mul(x, 10), "int32"), "float32")),
  unary("AddN", (x) => tf.addN([x, tf.square(x), x])),
  unary("Sum", (x) => tf.sum(x, [0, 2])),
  unary("Sum", (x) => tf.sum(x)),
  unary("Sum", (x) => tf.sum(x, -1, true)),
  unary("Sum", (x) => tf.sum(tf.broadcastTo(tf.slice(x, [0, 0, 0], [1, 4, 5]), [7, 4, 5]), 0)),
  unary("Mean", (x) => tf.mean(x, 1, true)),
  unary("Mean", (x) => tf.mean(x)),
  unary("Max", (x) => tf.max(x, 1)),
  unary("Min", (x) => tf.min(x, [1, 2], true)),
  unary("Softmax", (x) => tf.softmax(x), [-5, 5]),
  unary("LogSoftmax", (x) => tf.logSoftmax(x), [-5, 5]),
  unary("Reshape", (x) => tf.reshape(x, [5, -1])),
  unary("ExpandDims", (x) => tf.expandDims(x, -1)),
  unary("Transpose", (x) => tf.transpose(x, [2, 0, 1])),
  unary("Slice", (x) => tf.slice(x, [1, 0, 2], [2, 4, -1])),
  unary("Concat", (x) => tf.concat([x, tf.square(x), tf.ones([3, 2, 5])], 1)),
  unary("SplitV", (x) => tf.add(tf.split(x, [1, 3], 1)[1] ?? x, 1)),
  unary("Unpack", (x) => tf.unstack(x, 1)[2] ?? x),
  unary("Pack", (x) => tf.stack([x, tf.neg(x)], 1)),
  unary("PadV2", (x) =>
    tf.pad(
      x,
      [
        [1, 0],
        [0, 2],
        [0, 0],
      ],
      0.5,
    ),
  ),
  unary("Tile", (x) => tf.tile(x, [2, 1, 3])),
  unary("BroadcastTo", (x) => tf.broadcastTo(tf.slice(x, [0, 0, 0], [3, 1, 5]), [2, 3, 4, 5])),
  unary("GatherV2", (x) => tf.gather(x, tf.tensor1d([2, 0, 2, 1], "int32"), 1)),
  unary("GatherV2", (x) => tf.gather(x, tf.tensor3d([2, 0, 2, 1, 1, 0], [3, 1, 2], "int32"), 0)),
  unary("UnsortedSegmentSum", (x) => tf.unsortedSegmentSum(x, tf.tensor1d([3, 0, 3], "int32"), 5)),
  unary("UnsortedSegmentSum", (x) => tf.unsortedSegmentSum(tf.sum(x, [1, 2]), tf.tensor1d([1, 1, 0], "int32"), 2)),
  unary(
    "OneHot",
    (x) => tf.add(tf.oneHot(tf.cast(tf.mul(tf.reshape(x, [60]), 3.9), "int32"), 4, 0.9, 0.025), 0),
    [0, 1],
  ),
  {
    name: "Select",
    shapes: [[3, 4], [3, 4], [4]],
    kernels: ["Select"],
    build: (a, b, c) => tf.where(tf.greater(a, 0), b, c),
  },
  {
    name: "MatMul",
    shapes: [
      [3, 4],
      [4, 5],
    ],
    kernels: ["BatchMatMul"],
    build: (a, b) => tf.matMul(a, b),
  },
  {
    name: "MatMul tA",
    shapes: [
      [4, 3],
      [4, 5],
    ],
    kernels: ["BatchMatMul"],
    build: (a, b) => tf.matMul(a, b, true),
  },
  {
    name: "MatMul tB",
    shapes: [
      [3, 4],
      [5, 4],
    ],
    kernels: ["BatchMatMul"],
    build: (a, b) => tf.matMul(a, b, false, true),
  },
  {
    name: "MatMul batched",
    shapes: [
      [2, 3, 4],
      [2, 4, 5],
    ],
    kernels: ["BatchMatMul"],
    build: (a, b) => tf.matMul(a, b),
  },
  {
    name: "MatMul batched tA tB",
    shapes: [
      [2, 6, 4, 3],
      [2, 6, 5, 4],
    ],
    kernels: ["BatchMatMul"],
    build: (a, b) => tf.matMul(a, b, true, true),
  },
  {
    name: "MatMul one batch",
    shapes: [
      [1, 3, 4],
      [1, 5, 4],
    ],
    kernels: ["BatchMatMul"],
    build: (a, b) => tf.matMul(a, b, false, true),
  },
  {
    name: "MatMul broadcast",
    shapes: [
      [2, 3, 4],
      [1, 4, 5],
    ],
    kernels: ["BatchMatMul"],
    build: (a, b) => tf.matMul(a, b),
  },
  { name: "MatMul of ones", shapes: [[3, 4]], kernels: ["BatchMatMul"], build: (a) => tf.matMul(tf.ones([1, 3]), a) },
];

/** Kernels without a plain tfjs form; test/engine/fused.test.ts compares them with their plain compositions. */
const FUSED = traceableKernels.filter((name) => name.startsWith("Adamerge"));

const onnx = createOnnxEngine({ provider: "cpu", threads: 1 });
afterAll(() => onnx.close());

function programOf(row: Row): { program: Program; inputs: Map<string, TensorValues> } {
  const specs = new Map(
    row.shapes.map((shape, index): [string, TensorSpec] => [`x${index}`, { shape, dtype: "float32" }]),
  );
  const [low, high] = row.range ?? [-2, 2];
  const inputs = new Map<string, TensorValues>();
  for (const [name, spec] of specs) inputs.set(name, randomArray(sizeOf(spec.shape), inputs.size + 1, low, high));
  const program: Program = {
    name: row.name,
    frozen: new Map(),
    inputs: specs,
    build: (tensors) => new Map([["y", row.build(...tensors.values())]]),
  };
  return { program, inputs };
}

describe("traced kernels equal tfjs cpu", () => {
  it.each(rows.map((row) => [row.name, row] as const))("%s", async (_, row) => {
    const { program, inputs } = programOf(row);
    const eager = await createTfjsEngine("cpu");
    const expected = (await (await eager.compile(program)).run(inputs)).get("y");
    const compiled = await onnx.compile(program);
    const found = (await compiled.run(inputs)).get("y");
    await compiled.close();
    expect(found?.length).toBe(expected?.length);
    expect(relativeError(found ?? [], expected ?? [])).toBeLessThan(2e-6);
  });

  it("covers every kernel of the tracer", () => {
    const covered = new Set([...rows.flatMap((row) => row.kernels), ...FUSED]);
    expect(traceableKernels.filter((kernel) => !covered.has(kernel))).toEqual([]);
  });
});

describe("what cannot be traced", () => {
  const failing = (build: (x: Tensor) => Tensor): Promise<unknown> => {
    const { program } = programOf({ name: "bad", shapes: [[4]], kernels: [], build });
    return onnx.compile(program);
  };
  it("names the operation", async () => {
    await expect(failing((x) => tf.cumsum(x))).rejects.toThrow(/program bad: the operation Cumsum cannot be compiled/);
  });
  it("refuses to read values", async () => {
    await expect(failing((x) => tf.scalar(x.dataSync()[0] ?? 0))).rejects.toThrow(
      /program bad: .*read the value of a tensor/,
    );
  });
});
