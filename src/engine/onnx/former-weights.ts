/**
 * The weights that an earlier export left beside its model, for when a model of one file replaces it. Only a file that
 * the model there, one of ours, names for all its weights and that has just their size is known again; whatever else
 * has such a name is somebody else's.
 * Source: onnx.proto3, as in encode-model.ts; protobuf.dev/programming-guides/encoding.
 */
import { lstat } from "node:fs/promises";
import { basename } from "node:path";
import { CheckpointError } from "../../errors.js";
import { readBytes } from "../../runtime/regular-file.js";
import { PRODUCER } from "./encode-model.js";

/** A model whose weights lie beside it has a graph, names and small constants: some megabytes. */
const MAX_GRAPH_BYTES = 64 * 1024 * 1024;
/** Fields of protobuf's messages, as encode-model.ts writes them. */
const MODEL = { producer: 2, graph: 7 } as const;
const GRAPH = { initializer: 5 } as const;
const TENSOR = { external: 13 } as const;
const PAIR = { key: 1, value: 2 } as const;

/** Whether `weightsPath` holds the weights of the model at `modelPath`, and both are of our writing. */
export async function isFormerWeights(modelPath: string, weightsPath: string): Promise<boolean> {
  const [model, weights] = await Promise.all(
    [modelPath, weightsPath].map((path) => lstat(path).catch(() => undefined)),
  );
  if (!model?.isFile() || !weights?.isFile() || model.size > MAX_GRAPH_BYTES) return false;
  const bytes = await readBytes(modelPath, "an ONNX file", MAX_GRAPH_BYTES, CheckpointError).catch(() => undefined);
  const places = bytes === undefined ? undefined : externalPlaces(bytes);
  if (places === undefined || places.length === 0) return false;
  const ends = places.map(({ offset, length }) => offset + length);
  return places.every(({ file }) => file === basename(weightsPath)) && Math.max(...ends) === weights.size;
}

interface Place {
  readonly file: string | undefined;
  readonly offset: number;
  readonly length: number;
}

/** Where a model of ours has weights outside itself; undefined of any other file. */
function externalPlaces(bytes: Uint8Array): readonly Place[] | undefined {
  const model = textFields(bytes);
  if (!model?.some(({ field, value }) => field === MODEL.producer && textOf(value) === PRODUCER)) return undefined;
  const initializers = nested(model, MODEL.graph).flatMap((graph) => nested(graph, GRAPH.initializer));
  return initializers.flatMap((tensor) => {
    const pairs = nested(tensor, TENSOR.external).map((pair): [string, string] => [
      textOf(pair.find(({ field }) => field === PAIR.key)?.value),
      textOf(pair.find(({ field }) => field === PAIR.value)?.value),
    ]);
    if (pairs.length === 0) return [];
    const facts = new Map(pairs);
    return [{ file: facts.get("location"), offset: Number(facts.get("offset")), length: Number(facts.get("length")) }];
  });
}

interface TextField {
  readonly field: number;
  readonly value: Uint8Array;
}

function nested(fields: readonly TextField[], wanted: number): readonly (readonly TextField[])[] {
  return fields.flatMap(({ field, value }) => (field === wanted ? [textFields(value) ?? []] : []));
}

function textOf(value: Uint8Array | undefined): string {
  return value === undefined ? "" : Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf8");
}

/** Texts, bytes and messages of a message; undefined where the bytes are none. */
function textFields(bytes: Uint8Array): readonly TextField[] | undefined {
  const fields: TextField[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const key = readVarint(bytes, at);
    if (key === undefined) return undefined;
    const wireType = key.value % 8;
    const size = wireType === 1 ? 8 : wireType === 5 ? 4 : 0;
    const number = wireType === 0 || wireType === 2 ? readVarint(bytes, key.end) : { value: size, end: key.end };
    if (number === undefined || ![0, 1, 2, 5].includes(wireType)) return undefined;
    at = wireType === 0 ? number.end : number.end + number.value;
    if (at > bytes.byteLength) return undefined;
    if (wireType === 2) fields.push({ field: Math.floor(key.value / 8), value: bytes.subarray(number.end, at) });
  }
  return fields;
}

/** Numbers above 2^53 lose their last digits, which no key and no length has. */
function readVarint(bytes: Uint8Array, begin: number): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  for (let at = begin, factor = 1; at < bytes.byteLength; at++, factor *= 128) {
    const byte = bytes[at] ?? 0;
    value += (byte % 128) * factor;
    if (byte < 128) return { value, end: at + 1 };
  }
  return undefined;
}
