/**
 * The file form of an ONNX graph.
 * Source: onnx.proto3 of ONNX IR version 8 (ModelProto 3 = producer_version, 7 = graph, 8 = opset_import, 14 = metadata_props;
 * GraphProto 1 = node, 5 = initializer, 11 = input, 12 = output; TensorProto 13 = external_data, 14 = data_location).
 */

import {
  type Attribute,
  type Initializer,
  liveNodes,
  type OnnxGraph,
  type OnnxNode,
  type OnnxValue,
  typeCode,
} from "./graph.js";
import {
  bytesField,
  encodeMessage,
  type Field,
  floatField,
  integerField,
  messageField,
  stringField,
} from "./protobuf.js";

/** AttributeProto.AttributeType */
const ATTRIBUTE_FLOAT = 1;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_STRING = 3;
const ATTRIBUTE_INTS = 7;

/** TensorProto.DataLocation */
const DATA_LOCATION_EXTERNAL = 1;

/** By which files of ours are known again. */
export const PRODUCER = "adamerge";
const IR_VERSION = 8;
/** 17 is the first opset with LayerNormalization and the last in which reductions other than sum take axes as attributes. */
const OPSET_VERSION = 17;

/** Where the values of an initializer are that are not in the model's own file. */
export interface ExternalPlace {
  /** Name of a file in the same folder. */
  readonly file: string;
  readonly offset: number;
}

/** What a model's file has besides its graph. */
export interface ModelNotes {
  /** Of this program. */
  readonly version?: string;
  /** Texts for whoever uses the model, by key. */
  readonly metadata?: ReadonlyMap<string, string>;
  /** Initializers that are written elsewhere, by name. */
  readonly external?: ReadonlyMap<string, ExternalPlace>;
}

/** The graph as the bytes of an .onnx file with the given outputs. Unused nodes and constants are left out; inputs stay. */
export function encodeModel(graph: OnnxGraph, outputs: readonly OnnxValue[]): Uint8Array {
  return encodeMessage(modelFields(graph, outputs));
}

/** The same as fields that are yet to be joined: those of large models fill no single buffer. */
export function modelFields(graph: OnnxGraph, outputs: readonly OnnxValue[], notes: ModelNotes = {}): readonly Field[] {
  const nodes = liveNodes(
    graph,
    outputs.map((output) => output.name),
  );
  const { version, metadata = new Map(), external = new Map() } = notes;
  const body: Field[] = [
    ...nodes.map((node) => messageField(1, encodeNode(node))),
    stringField(2, PRODUCER),
    ...usedInitializers(graph, nodes).map((used) => messageField(5, encodeInitializer(used, external.get(used.name)))),
    ...graph.inputs.map((input) => messageField(11, encodeValue(input))),
    ...outputs.map((output) => messageField(12, encodeValue(output))),
  ];
  const domains = [...new Set(["", ...nodes.map(({ domain }) => domain)])];
  return [
    integerField(1, IR_VERSION),
    stringField(2, PRODUCER),
    ...(version === undefined ? [] : [stringField(3, version)]),
    messageField(7, body),
    ...domains.map((domain) =>
      messageField(8, [stringField(1, domain), integerField(2, domain === "" ? OPSET_VERSION : 1)]),
    ),
    ...[...metadata].map(([key, value]) => messageField(14, encodePair(key, value))),
  ];
}

/** Those that some of the nodes read, in the order in which they were added. */
export function usedInitializers(graph: OnnxGraph, nodes: readonly OnnxNode[]): readonly Initializer[] {
  const used = new Set(nodes.flatMap((node) => node.inputs));
  return [...graph.initializers.values()].filter(({ name }) => used.has(name));
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

function encodeInitializer({ name, type, shape, bytes }: Initializer, place: ExternalPlace | undefined): Field[] {
  const described = [
    ...shape.map((dim) => integerField(1, dim)),
    integerField(2, typeCode(type)),
    stringField(8, name),
  ];
  if (place === undefined) return [...described, bytesField(9, bytes)];
  const { file, offset } = place;
  const facts: [string, string][] = [
    ["location", file],
    ["offset", String(offset)],
    ["length", String(bytes.byteLength)],
  ];
  const pairs = facts.map(([key, value]) => messageField(13, encodePair(key, value)));
  return [...described, ...pairs, integerField(14, DATA_LOCATION_EXTERNAL)];
}

/** StringStringEntryProto */
function encodePair(key: string, value: string): Field[] {
  return [stringField(1, key), stringField(2, value)];
}

function encodeValue(value: OnnxValue): Field[] {
  const shape = messageField(
    2,
    value.shape.map((dim) => messageField(1, [typeof dim === "number" ? integerField(1, dim) : stringField(2, dim)])),
  );
  const type = messageField(1, [integerField(1, typeCode(value.type)), shape]);
  return [stringField(1, value.name), messageField(2, [type])];
}
