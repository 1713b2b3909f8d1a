/** Reductions and the softmax family. Axes arrive as attributes; ONNX keeps the reduced axes when asked. */
import { type TensorInfo, tfjs } from "../../tfjs.js";
import { flagAttr, inputOf, type KernelCall, type KernelTable, numberAttr, type TraceKernel } from "../kernel.js";

/** The reduced axes, tfjs's output shape with or without kept dimensions. */
function reduction(call: KernelCall, x: TensorInfo, attribute: string): { axes: number[]; shape: number[] } {
  const given = call.attrs[attribute];
  const axes = tfjs.util.parseAxisParam(given === undefined || given === null ? [] : numbers(given), x.shape);
  const all = axes.length === 0 ? x.shape.map((_, axis) => axis) : axes;
  const [reduced] = tfjs.backend_util.computeOutAndReduceShapes(x.shape, all);
  return {
    axes: all,
    shape: flagAttr(call, "keepDims") ? tfjs.backend_util.expandShapeToKeepDim(reduced, all) : reduced,
  };
}

function numbers(value: unknown): number[] {
  if (typeof value === "number") return [value];
  if (Array.isArray(value)) return value.map(Number);
  throw new TypeError("a reduction's axis is neither a number nor a list");
}

/** ReduceSum takes its axes as an input since opset 13; the others as an attribute until 18. */
function reduce(op: "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin", attribute = "axis"): TraceKernel {
  return (call) => {
    const x = inputOf(call, "x");
    const { axes, shape } = reduction(call, x, attribute);
    const keepdims = { int: flagAttr(call, "keepDims") ? 1 : 0 };
    if (op === "ReduceSum") {
      return call.backend.emit(op, [x, call.backend.ints(axes)], shape, { attributes: { keepdims }, dtype: x.dtype });
    }
    return call.backend.emit(op, [x], shape, { attributes: { keepdims, axes: { ints: axes } }, dtype: x.dtype });
  };
}

export const reduceKernels: KernelTable = {
  Sum: reduce("ReduceSum"),
  Mean: reduce("ReduceMean"),
  Max: reduce("ReduceMax", "reductionIndices"),
  Min: reduce("ReduceMin"),
  Softmax: (call) => {
    const logits = inputOf(call, "logits");
    return call.backend.emit("Softmax", [logits], logits.shape, {
      attributes: { axis: { int: numberAttr(call, "dim") } },
    });
  },
  LogSoftmax: (call) => {
    const logits = inputOf(call, "logits");
    const attributes = { axis: { int: numberAttr(call, "axis") } };
    return call.backend.emit("LogSoftmax", [logits], logits.shape, { attributes });
  },
};
