/**
 * Compiles a program: runs it once on symbolic tensors and returns the ONNX model of everything its outputs
 * depend on. Frozen tensors and inputs become graph inputs of their own type; float16 and uint8 are widened
 * to float32 inside the graph, since tfjs has neither.
 */
import { NumericError } from "../../errors.js";
import { encodeModel } from "../onnx/encode-model.js";
import { addNode, liveNodes, type OnnxGraph, type OnnxValue, typeCode } from "../onnx/graph.js";
import type { Program, TensorSpec } from "../program.js";
import type { Tensor } from "../tf.js";
import { tfjs } from "../tfjs.js";
import { type MatrixProduct, TRACE_BACKEND, type TraceBackend, traceBackend } from "./backend.js";
import { registerKernels } from "./kernel.js";
import { elementwiseKernels } from "./kernels/elementwise.js";
import { fusedKernels } from "./kernels/fused.js";
import { matrixKernels } from "./kernels/matrix.js";
import { reduceKernels } from "./kernels/reduce.js";
import { shapeKernels } from "./kernels/shape.js";

export interface TracedProgram {
  /** The bytes of an .onnx file. */
  readonly onnx: Uint8Array;
  /** What is in that file. */
  readonly graph: OnnxGraph;
  readonly outputs: readonly OnnxValue[];
  /** Nodes by operator, for profiles and tests. */
  readonly operators: ReadonlyMap<string, number>;
  /** The matrix products the outputs need: 2 x batch x rows x inner x columns operations each. */
  readonly products: readonly MatrixProduct[];
}

/** Every tfjs kernel that can be traced. */
export const traceableKernels: readonly string[] = [
  elementwiseKernels,
  reduceKernels,
  matrixKernels,
  shapeKernels,
  fusedKernels,
].flatMap((table) => Object.keys(table));

let registered = false;

/**
 * Traces `program` once per shape, for a device without kernels for the ONNX operators in `lacks` (of those that have another form). Throws NumericError naming the program and the tfjs kernel when an operation has no
 * traced form, or when the program reads values.
 */
export function traceProgram(program: Program, lacks: ReadonlySet<string> = new Set()): TracedProgram {
  const backend = traceBackend();
  if (!registered) {
    for (const table of [elementwiseKernels, reduceKernels, matrixKernels, shapeKernels, fusedKernels]) {
      registerKernels(backend, table);
    }
    registered = true;
  }
  const previous = tfjs.engine().backendName;
  tfjs.setBackend(TRACE_BACKEND);
  tfjs.engine().startScope("trace");
  backend.reset(lacks);
  try {
    return record(program, backend);
  } catch (error) {
    throw explain(error, program.name);
  } finally {
    tfjs.engine().endScope();
    if (previous !== undefined && previous !== null && previous !== "") tfjs.setBackend(previous);
  }
}

function record(program: Program, backend: TraceBackend): TracedProgram {
  const tensors = new Map<string, Tensor>();
  for (const [name, spec] of [...program.frozen, ...program.inputs]) {
    backend.graph.inputs.push({ name, type: spec.dtype, shape: spec.shape });
    tensors.set(name, inputTensor(backend, name, spec));
  }
  const outputs: OnnxValue[] = [];
  for (const [name, tensor] of program.build(tensors)) {
    // An Identity of its own gives the output its public name, even when it is an input or a shared value.
    const value = backend.materialize(tensor);
    backend.graph.nodes.push({ op: "Identity", domain: "", inputs: [value], outputs: [name], attributes: {} });
    outputs.push({ name, type: "float32", shape: tensor.shape });
  }
  const names = outputs.map((output) => output.name);
  const operators = new Map<string, number>();
  const products: MatrixProduct[] = [];
  for (const node of liveNodes(backend.graph, names)) {
    operators.set(node.op, (operators.get(node.op) ?? 0) + 1);
    for (const output of node.outputs) {
      const product = backend.products.get(output);
      if (product !== undefined) products.push(product);
    }
  }
  return { onnx: encodeModel(backend.graph, outputs), graph: backend.graph, outputs, operators, products };
}

function inputTensor(backend: TraceBackend, name: string, spec: TensorSpec): Tensor {
  const widened = spec.dtype === "float16" || spec.dtype === "uint8";
  const value = widened ? addNode(backend.graph, "Cast", [name], { to: { int: typeCode("float32") } }) : name;
  if (spec.dtype === "float16") backend.narrow.set(value, name);
  const dtype = spec.dtype === "int32" ? "int32" : "float32";
  return tfjs.engine().makeTensorFromTensorInfo(backend.symbol(value, spec.shape, dtype));
}

/** tfjs reports a missing kernel as "Kernel 'X' not registered for backend ..."; people need to know what to do about it. */
function explain(error: unknown, programName: string): unknown {
  if (!(error instanceof Error)) return error;
  const missing = /Kernel '([^']+)' not registered for backend|Cannot find gradient function for ([^\s.]+)/.exec(
    error.message,
  );
  if (missing !== null) {
    const kernel = missing[1] ?? missing[2];
    return new NumericError(
      `program ${programName}: the operation ${kernel} cannot be compiled (no ONNX form for this tfjs kernel); ` +
        `use engine=tfjs, or add ${kernel} to src/engine/trace/kernels`,
    );
  }
  if (error instanceof NumericError) return new NumericError(`program ${programName}: ${error.message}`);
  return error;
}
