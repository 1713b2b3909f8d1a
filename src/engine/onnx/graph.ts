/**
 * An ONNX graph under construction, as plain data, and its file form. Knows nothing of tfjs.
 * Nodes that no output needs are dropped when the model is encoded.
 * Source: onnx.proto3 of ONNX IR version 8 (ModelProto 7 = graph, 8 = opset_import; GraphProto 1 = node,
 * 5 = initializer, 11 = input, 12 = output); com.microsoft operators from ONNX Runtime's ContribOperators.md.
 */
import { Buffer } from "node:buffer";
import {
  bytesField,
  encodeMessage,
  type Field,
  floatField,
  integerField,
  messageField,
  stringField,
} from "./protobuf.js";

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

/** AttributeProto.AttributeType */
const ATTRIBUTE_FLOAT = 1;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_STRING = 3;
const ATTRIBUTE_INTS = 7;

const IR_VERSION = 8;
/** 17 is the first opset with LayerNormalization and the last in which reductions other than sum take axes as attributes. */
const OPSET_VERSION = 17;

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

export interface OnnxValue {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly number[];
}

interface Initializer extends OnnxValue {
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

/** The graph as the bytes of an .onnx file with the given outputs. Unused nodes and constants are left out; inputs stay. */
export function encodeModel(graph: OnnxGraph, outputs: readonly OnnxValue[]): Uint8Array {
  const nodes = liveNodes(
    graph,
    outputs.map((output) => output.name),
  );
  const used = new Set(nodes.flatMap((node) => node.inputs));
  const initializers = [...graph.initializers.values()].filter((constant) => used.has(constant.name));
  const body: Field[] = [
    ...nodes.map((node) => messageField(1, encodeNode(node))),
    stringField(2, "adamerge"),
    ...initializers.map((constant) => messageField(5, encodeInitializer(constant))),
    ...graph.inputs.map((input) => messageField(11, encodeValue(input))),
    ...outputs.map((output) => messageField(12, encodeValue(output))),
  ];
  return encodeMessage([
    integerField(1, IR_VERSION),
    stringField(2, "adamerge"),
    messageField(7, body),
    messageField(8, [stringField(1, ""), integerField(2, OPSET_VERSION)]),
    messageField(8, [stringField(1, "com.microsoft"), integerField(2, 1)]),
  ]);
}

function encodeNode(node: OnnxNode): Field[] {
  return [
    ...node.inputs.map((input) => stringField(1, input)),
    ...node.outputs.map((output) => stringField(2, output)),
    stringField(4, node.op),
    ...Object.entries(node.attributes).map(([name, value]) => messageField(5, encodeAttribute(name, value))),
    ...(node.domain === "" ? [] : [stringField(7, node.domain)]),
  ];
}

function encodeAttribute(name: string, value: Attribute): Field[] {
  if ("float" in value) return [stringField(1, name), floatField(2, value.float), integerField(20, ATTRIBUTE_FLOAT)];
  if ("int" in value) return [stringField(1, name), integerField(3, value.int), integerField(20, ATTRIBUTE_INT)];
  if ("string" in value)
    return [stringField(1, name), stringField(4, value.string), integerField(20, ATTRIBUTE_STRING)];
  return [stringField(1, name), ...value.ints.map((int) => integerField(8, int)), integerField(20, ATTRIBUTE_INTS)];
}

function encodeInitializer(constant: Initializer): Field[] {
  return [
    ...constant.shape.map((dim) => integerField(1, dim)),
    integerField(2, TYPE_CODES[constant.type]),
    stringField(8, constant.name),
    bytesField(9, constant.bytes),
  ];
}

function encodeValue(value: OnnxValue): Field[] {
  const shape = messageField(
    2,
    value.shape.map((dim) => messageField(1, [integerField(1, dim)])),
  );
  const type = messageField(1, [integerField(1, TYPE_CODES[value.type]), shape]);
  return [stringField(1, value.name), messageField(2, [type])];
}

/** TensorProto.DataType code, for Cast nodes. */
export function typeCode(type: OnnxType): number {
  return TYPE_CODES[type];
}
