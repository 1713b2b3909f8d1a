/**
 * How a traced kernel is declared: tfjs's kernel name and a function from its inputs and attributes to ONNX
 * nodes. The readers of inputs and attributes check what tfjs passes, whose types are open maps.
 */
import { assert } from "../../errors.js";
import { type NamedAttrMap, type NamedTensorInfoMap, type TensorInfo, tfjs } from "../tfjs.js";
import { TRACE_BACKEND, type TraceBackend } from "./backend.js";

export interface KernelCall {
  readonly backend: TraceBackend;
  readonly inputs: NamedTensorInfoMap;
  readonly attrs: NamedAttrMap;
}

export type TraceKernel = (call: KernelCall) => TensorInfo | TensorInfo[];

/** Kernel name in tfjs -> how it is traced. */
export type KernelTable = Readonly<Record<string, TraceKernel>>;

/** Registers a table of kernels for the trace backend. */
export function registerKernels(backend: TraceBackend, table: KernelTable): void {
  for (const [kernelName, kernel] of Object.entries(table)) {
    tfjs.registerKernel({
      kernelName,
      backendName: TRACE_BACKEND,
      kernelFunc: ({ inputs, attrs }) => kernel({ backend, inputs, attrs: attrs ?? {} }),
    });
  }
}

/** The input called `name`. */
export function inputOf(call: KernelCall, name: string): TensorInfo {
  const tensor = call.inputs[name];
  assert(tensor !== undefined && !Array.isArray(tensor), `kernel without input ${name}`);
  return tensor;
}

/** The inputs of a kernel that takes a list (Concat, Pack), in order. */
export function inputList(call: KernelCall): TensorInfo[] {
  return Object.values(call.inputs).flatMap((tensor) => tensor ?? []);
}

/** A numeric attribute. */
export function numberAttr(call: KernelCall, name: string): number {
  const value = call.attrs[name];
  assert(typeof value === "number", `kernel attribute ${name} is not a number`);
  return value;
}

/** A boolean attribute; absent means false. */
export function flagAttr(call: KernelCall, name: string): boolean {
  return call.attrs[name] === true;
}

/** A list-of-numbers attribute; a single number becomes a list of one. */
export function numbersAttr(call: KernelCall, name: string): number[] {
  const value = call.attrs[name];
  if (typeof value === "number") return [value];
  assert(Array.isArray(value), `kernel attribute ${name} is not a list`);
  return value.map((item) => {
    assert(typeof item === "number", `kernel attribute ${name} holds something else than numbers`);
    return item;
  });
}

/** The dimension of `tensor` along `axis`. */
export function dimOf(tensor: { readonly shape: readonly number[] }, axis: number): number {
  const dim = tensor.shape[axis];
  assert(dim !== undefined, `tensor of rank ${tensor.shape.length} has no axis ${axis}`);
  return dim;
}
