/**
 * Kernels that exist only in compiled programs: one ONNX Runtime operator each. The ops in `engine/ops` call them
 * while tracing and compose plain tfjs ops otherwise.
 */
import { addNode, freshName, type OnnxNode, typeCode } from "../../onnx/graph.js";
import { sizeOf } from "../../program.js";
import type { TensorInfo } from "../../tfjs.js";
import { dimOf, flagAttr, inputOf, type KernelCall, type KernelTable, numberAttr } from "../kernel.js";

export const LAYER_NORM_KERNEL = "AdamergeLayerNorm";
export const LINEAR_KERNEL = "AdamergeLinear";
export const WIDEN_KERNEL = "AdamergeWiden";
export const QUICK_GELU_KERNEL = "AdamergeQuickGelu";
export const GELU_KERNEL = "AdamergeGelu";
export const GELU_TANH_KERNEL = "AdamergeGeluTanh";

/** Of the approximation of GELU by a tanh: Hendrycks and Gimpel 2016, section 2. */
export const TANH_SLOPE = Math.sqrt(2 / Math.PI);
export const TANH_CUBE = 0.044715;

/** LayerNormalization (opset 17) over the last axis; also returns mean and inverse deviation for the gradient. */
function layerNorm(call: KernelCall): TensorInfo[] {
  const { backend } = call;
  const x = inputOf(call, "x");
  const statisticsShape = [...x.shape.slice(0, -1), 1];
  const outputs = ["normalized", "mean", "inverse_deviation"].map((name) => freshName(backend.graph, name));
  backend.graph.nodes.push({
    op: "LayerNormalization",
    domain: "",
    inputs: [x, inputOf(call, "scale"), inputOf(call, "bias")].map((tensor) => backend.materialize(tensor)),
    outputs,
    attributes: { axis: { int: -1 }, epsilon: { float: numberAttr(call, "epsilon") } },
  });
  return outputs.map((name, index) => backend.symbol(name, index === 0 ? x.shape : statisticsShape));
}

/** x [M, I] times w [O, I] transposed, plus bias [O]. */
function linear(call: KernelCall): TensorInfo {
  const x = inputOf(call, "x");
  const w = inputOf(call, "w");
  const inputs = [x, w, inputOf(call, "bias")];
  const [rows, inner, columns] = [dimOf(x, 0), dimOf(x, 1), dimOf(w, 0)];
  const result = call.backend.emit("Gemm", inputs, [rows, columns], { attributes: { transB: { int: 1 } } });
  call.backend.products.set(call.backend.lookup(result).name, { batch: 1, rows, inner, columns });
  return result;
}

/**
 * x [K, ...] as float32 [K, S]. What was float16 is widened here, where it is used, by a node that only this use has: a widened copy
 * that forward and backward share would stay in memory between them. `again` makes the node another one than the first, or
 * ONNX Runtime would join the two (common subexpressions).
 */
function widen(call: KernelCall): TensorInfo {
  const { backend } = call;
  const x = inputOf(call, "x");
  const shape = [dimOf(x, 0), sizeOf(x.shape.slice(1))];
  const narrow = backend.narrow.get(backend.lookup(x).name);
  if (narrow === undefined) return backend.reshaped(x, shape);
  const flat = flagAttr(call, "again")
    ? addNode(backend.graph, "Flatten", [narrow], { axis: { int: 1 } })
    : addNode(backend.graph, "Reshape", [narrow, backend.ints(shape)]);
  return backend.symbol(addNode(backend.graph, "Cast", [flat], { to: { int: typeCode("float32") } }), shape);
}

/**
 * One operator of com.microsoft on one input; `composed` of plain ones for who lacks it, in the form that optimisers of ONNX
 * graphs know.
 */
function activation(call: KernelCall, op: string, attributes: OnnxNode["attributes"], composed: (x: string) => string) {
  const { backend } = call;
  const x = inputOf(call, "x");
  if (!backend.lacks.has(op)) return backend.emit(op, [x], x.shape, { attributes, domain: "com.microsoft" });
  return backend.symbol(composed(backend.materialize(x)), x.shape);
}

/** Nodes over ONNX values and numbers. */
function calculator({ backend }: KernelCall) {
  const name = (value: string | number): string =>
    typeof value === "string" ? value : backend.lookup(backend.fill(value, [], "float32")).name;
  return (op: string, ...values: readonly (string | number)[]): string => addNode(backend.graph, op, values.map(name));
}

export const fusedKernels: KernelTable = {
  [LAYER_NORM_KERNEL]: layerNorm,
  [LINEAR_KERNEL]: linear,
  [WIDEN_KERNEL]: widen,
  [QUICK_GELU_KERNEL]: (call) => {
    const slope = numberAttr(call, "slope");
    const node = calculator(call);
    return activation(call, "QuickGelu", { alpha: { float: slope } }, (x) =>
      node("Mul", x, node("Sigmoid", node("Mul", x, slope))),
    );
  },
  [GELU_KERNEL]: (call) => {
    const node = calculator(call);
    return activation(call, "Gelu", {}, (x) =>
      node("Mul", node("Mul", x, node("Add", node("Erf", node("Div", x, Math.SQRT2)), 1)), 0.5),
    );
  },
  [GELU_TANH_KERNEL]: (call) => {
    const node = calculator(call);
    return activation(call, "FastGelu", {}, (x) => {
      const cube = node("Mul", node("Pow", x, 3), TANH_CUBE);
      const tanh = node("Tanh", node("Mul", node("Add", x, cube), TANH_SLOPE));
      return node("Mul", node("Mul", x, node("Add", tanh, 1)), 0.5);
    });
  },
};
