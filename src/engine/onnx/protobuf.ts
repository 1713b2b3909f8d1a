/**
 * The few protobuf wire types that an ONNX file needs, as byte arrays that are joined once at the end.
 * Source: protobuf.dev/programming-guides/encoding.
 */
import { Buffer } from "node:buffer";

/** A field, already encoded; nested messages are lists of these. */
export type Field = readonly Uint8Array[];

/** Base-128 varint of an integer; negative numbers take the ten-byte two's-complement form. */
export function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

function key(field: number, wireType: number): Uint8Array {
  return varint(field * 8 + wireType);
}

/** An integer or enum field. */
export function integerField(field: number, value: number | bigint): Field {
  return [key(field, 0), varint(value)];
}

/** A float field (32 bits). */
export function floatField(field: number, value: number): Field {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return [key(field, 5), bytes];
}

/** A string field. */
export function stringField(field: number, value: string): Field {
  return bytesField(field, Buffer.from(value, "utf8"));
}

/** A bytes field; the bytes are referenced, not copied, until the message is joined. */
export function bytesField(field: number, bytes: Uint8Array): Field {
  return [key(field, 2), varint(bytes.byteLength), bytes];
}

/** A nested message. */
export function messageField(field: number, parts: readonly Field[]): Field {
  const chunks = parts.flat();
  return [key(field, 2), varint(chunks.reduce((total, chunk) => total + chunk.byteLength, 0)), ...chunks];
}

/** The bytes of a whole message. */
export function encodeMessage(parts: readonly Field[]): Uint8Array {
  return Buffer.concat(parts.flat());
}
