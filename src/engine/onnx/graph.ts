/**
 * An ONNX graph under construction, as plain data; encode-model.ts makes a file of it. Knows nothing of tfjs.
 * Nodes that no output needs are dropped when the model is encoded.
 * Source: onnx.proto3; com.microsoft operators from ONNX Runtime's ContribOperators.md.
 */
import { Buffer } from "node:buffer";

export type OnnxType = "float32" | "float16" | "uint8" | "int32" | "int64" | "bool";

/** TensorProto.DataType */
const TYPE_CODES: Readonly<Record<OnnxType, number>> = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
};

export type Attribute =
  | { readonly float: number }
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly string: string };

export interface OnnxNode {
  readonly op: string;
  readonly domain: "" | "com.microsoft";
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A size, or the name of one that each run may choose. */
export type Dimension = number | string;

export interface OnnxValue {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly Dimension[];
}

export interface Initializer extends OnnxValue {
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface OnnxGraph {
  readonly nodes: OnnxNode[];
  readonly initializers: Map<string, Initializer>;
  readonly inputs: OnnxValue[];
  nextId: number;
}

/** An empty graph. */
export function createGraph(): OnnxGraph {
  return { nodes: [], initializers: new Map(), inputs: [], nextId: 0 };
}

/** A name that no other value of the graph has. */
export function freshName(graph: OnnxGraph, prefix: string): string {
  graph.nextId += 1;
  return `${prefix}_${graph.nextId}`;
}

/** Appends a node with one output and returns that output's name. */
export function addNode(
  graph: OnnxGraph,
  op: string,
  inputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {},
  domain: OnnxNode["domain"] = "",
): string {
  const output = freshName(graph, op);
  graph.nodes.push({ op, domain, inputs, outputs: [output], attributes });
  return output;
}

/** The name of a constant; equal constants are stored once. */
export function addConstant(
  graph: OnnxGraph,
  type: OnnxType,
  shape: readonly number[],
  values: Float32Array | Int32Array | BigInt64Array | Uint8Array,
): string {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const name = `constant_${type}_${shape.join("x")}_${bytes.byteLength <= 64 ? bytes.toString("hex") : graph.nextId++}`;
  if (!graph.initializers.has(name)) graph.initializers.set(name, { name, type, shape, bytes: Uint8Array.from(bytes) });
  return name;
}

/** A vector of int64, as ONNX wants shapes and axes. */
export function addInts(graph: OnnxGraph, values: readonly number[]): string {
  return addConstant(graph, "int64", [values.length], BigInt64Array.from(values, BigInt));
}

/** The nodes that `outputs` depend on, in the order in which they were added. */
export function liveNodes(graph: OnnxGraph, outputs: readonly string[]): OnnxNode[] {
  const needed = new Set(outputs);
  const live: OnnxNode[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    for (const input of node.inputs) needed.add(input);
    live.push(node);
  }
  return live.reverse();
}

/** TensorProto.DataType code, for Cast nodes. */
export function typeCode(type: OnnxType): number {
  return TYPE_CODES[type];
}
