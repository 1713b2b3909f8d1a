/**
 * Element-wise kernels. They read lazy broadcasts as they are stored, fold arithmetic on uniform tensors,
 * and drop additions of zero and multiplications by one, which tfjs's gradients produce in numbers.
 */
import { addNode, typeCode } from "../../onnx/graph.js";
import { type DataType, type TensorInfo, tfjs } from "../../tfjs.js";
import type { TraceBackend } from "../backend.js";
import { inputOf, type KernelCall, type KernelTable, numberAttr, type TraceKernel } from "../kernel.js";

const broadcastShape = (a: readonly number[], b: readonly number[]): number[] =>
  tfjs.backend_util.assertAndGetBroadcastShape([...a], [...b]);

type Fold = (a: number, b: number) => number;

/** `x op neutral` is x: on the right side only, unless the operation commutes. */
interface BinaryRule {
  readonly op: string;
  readonly fold?: Fold;
  readonly neutral?: number;
  readonly commutes?: boolean;
  readonly dtype?: DataType;
}

function binary(rule: BinaryRule): TraceKernel {
  return (call) => {
    const { backend } = call;
    const a = inputOf(call, "a");
    const b = inputOf(call, "b");
    return binaryNode(backend, rule, a, b);
  };
}

function binaryNode(backend: TraceBackend, rule: BinaryRule, a: TensorInfo, b: TensorInfo): TensorInfo {
  const shape = broadcastShape(a.shape, b.shape);
  const dtype = rule.dtype ?? a.dtype;
  const left = backend.lookup(a);
  const right = backend.lookup(b);
  if (rule.fold !== undefined && left.uniform !== undefined && right.uniform !== undefined && dtype === "float32") {
    return backend.fill(Math.fround(rule.fold(left.uniform, right.uniform)), shape, dtype);
  }
  if (rule.neutral !== undefined && right.uniform === rule.neutral) {
    return backend.broadcast(left.name, left.storedShape, shape, dtype);
  }
  if (rule.neutral !== undefined && rule.commutes && left.uniform === rule.neutral) {
    return backend.broadcast(right.name, right.storedShape, shape, dtype);
  }
  const name = addNode(backend.graph, rule.op, [left.name, right.name]);
  return backend.broadcast(name, broadcastShape(left.storedShape, right.storedShape), shape, dtype);
}

function unary(op: string, fold?: (x: number) => number): TraceKernel {
  return (call) => {
    const x = inputOf(call, "x");
    const { name, storedShape, uniform } = call.backend.lookup(x);
    if (fold !== undefined && uniform !== undefined) {
      return call.backend.fill(Math.fround(fold(uniform)), x.shape, x.dtype);
    }
    return call.backend.broadcast(addNode(call.backend.graph, op, [name]), storedShape, x.shape, x.dtype);
  };
}

/** Composes binary and unary nodes on the value of one input. */
function composed(build: (backend: TraceBackend, name: string) => string): TraceKernel {
  return (call) => {
    const x = inputOf(call, "x");
    const { name, storedShape } = call.backend.lookup(x);
    return call.backend.broadcast(build(call.backend, name), storedShape, x.shape, x.dtype);
  };
}

function scalar(backend: TraceBackend, value: number): string {
  return backend.lookup(backend.fill(value, [], "float32")).name;
}

function castTarget(dtype: unknown): "float32" | "int32" | "bool" {
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype;
  throw new TypeError(`cannot cast to ${String(dtype)}`);
}

function cast(call: KernelCall): TensorInfo {
  const x = inputOf(call, "x");
  const dtype = castTarget(call.attrs.dtype);
  const { name, storedShape } = call.backend.lookup(x);
  if (x.dtype === dtype) return call.backend.broadcast(name, storedShape, x.shape, dtype);
  const output = addNode(call.backend.graph, "Cast", [name], { to: { int: typeCode(dtype) } });
  return call.backend.broadcast(output, storedShape, x.shape, dtype);
}

function select(call: KernelCall): TensorInfo {
  const condition = inputOf(call, "condition");
  const t = inputOf(call, "t");
  const e = inputOf(call, "e");
  // SelectV2 broadcasts its three inputs; Where does the same.
  const parts = [condition, t, e].map((tensor) => call.backend.lookup(tensor));
  const shape = broadcastShape(broadcastShape(condition.shape, t.shape), e.shape);
  const stored = parts.map((part) => part.storedShape).reduce<readonly number[]>(broadcastShape, []);
  const name = addNode(
    call.backend.graph,
    "Where",
    parts.map((part) => part.name),
  );
  return call.backend.broadcast(name, stored, shape, t.dtype);
}

function clip(call: KernelCall): TensorInfo {
  const x = inputOf(call, "x");
  const { name, storedShape } = call.backend.lookup(x);
  const limits = ["clipValueMin", "clipValueMax"].map((attr) => scalar(call.backend, numberAttr(call, attr)));
  return call.backend.broadcast(addNode(call.backend.graph, "Clip", [name, ...limits]), storedShape, x.shape, x.dtype);
}

const likeInput =
  (value: number): TraceKernel =>
  (call) => {
    const x = inputOf(call, "x");
    return call.backend.fill(value, x.shape, x.dtype);
  };

export const elementwiseKernels: KernelTable = {
  Add: binary({ op: "Add", fold: (a, b) => a + b, neutral: 0, commutes: true }),
  AddN: (call) => {
    const terms = Object.values(call.inputs).flatMap((tensor) => tensor ?? []);
    return terms.reduce((a, b) => binaryNode(call.backend, { op: "Add", neutral: 0, commutes: true }, a, b));
  },
  Sub: binary({ op: "Sub", fold: (a, b) => a - b, neutral: 0 }),
  Multiply: binary({ op: "Mul", fold: (a, b) => a * b, neutral: 1, commutes: true }),
  RealDiv: binary({ op: "Div", fold: (a, b) => a / b, neutral: 1 }),
  Pow: binary({ op: "Pow", fold: (a, b) => a ** b, neutral: 1 }),
  Maximum: binary({ op: "Max" }),
  Minimum: binary({ op: "Min" }),
  SquaredDifference: (call) => {
    const difference = binaryNode(call.backend, { op: "Sub" }, inputOf(call, "a"), inputOf(call, "b"));
    return binaryNode(call.backend, { op: "Mul" }, difference, difference);
  },
  Greater: binary({ op: "Greater", dtype: "bool" }),
  GreaterEqual: binary({ op: "GreaterOrEqual", dtype: "bool" }),
  Less: binary({ op: "Less", dtype: "bool" }),
  LessEqual: binary({ op: "LessOrEqual", dtype: "bool" }),
  Equal: binary({ op: "Equal", dtype: "bool" }),
  LogicalAnd: binary({ op: "And", dtype: "bool" }),
  LogicalNot: unary("Not"),
  Exp: unary("Exp", Math.exp),
  Neg: unary("Neg", (x) => -x),
  Sqrt: unary("Sqrt", Math.sqrt),
  Log: unary("Log", Math.log),
  Sigmoid: unary("Sigmoid"),
  Tanh: unary("Tanh"),
  Relu: unary("Relu"),
  Erf: unary("Erf"),
  Abs: unary("Abs", Math.abs),
  Sign: unary("Sign", Math.sign),
  Reciprocal: unary("Reciprocal", (x) => 1 / x),
  Square: composed((backend, x) => addNode(backend.graph, "Mul", [x, x])),
  Rsqrt: composed((backend, x) => addNode(backend.graph, "Reciprocal", [addNode(backend.graph, "Sqrt", [x])])),
  Step: (call) => {
    const x = inputOf(call, "x");
    const { name, storedShape } = call.backend.lookup(x);
    const { graph } = call.backend;
    const positive = addNode(graph, "Greater", [name, scalar(call.backend, 0)]);
    const alpha = numberAttr(call, "alpha");
    const output = addNode(graph, "Where", [positive, scalar(call.backend, 1), scalar(call.backend, alpha)]);
    return call.backend.broadcast(output, storedShape, x.shape, "float32");
  },
  Select: select,
  ClipByValue: clip,
  Cast: cast,
  Identity: (call) => {
    const x = inputOf(call, "x");
    const { name, storedShape } = call.backend.lookup(x);
    return call.backend.broadcast(name, storedShape, x.shape, x.dtype);
  },
  ZerosLike: likeInput(0),
  OnesLike: likeInput(1),
  Fill: (call) => {
    const shape = call.attrs.shape;
    const dtype = call.attrs.dtype;
    if (!Array.isArray(shape)) throw new TypeError("Fill without a shape");
    return call.backend.fill(numberAttr(call, "value"), shape.map(Number), dtype === "int32" ? "int32" : "float32");
  },
  BroadcastTo: (call) => {
    const x = inputOf(call, "x");
    const shape = call.attrs.shape;
    if (!Array.isArray(shape)) throw new TypeError("BroadcastTo without a shape");
    const { name, storedShape } = call.backend.lookup(x);
    return call.backend.broadcast(name, storedShape, shape.map(Number), x.dtype);
  },
};
