/**
 * The tokens of a split one example behind the other, in memory or in a file of the cache, from which batches are read: a split of any size takes
 * little memory. Of each example its ids (uint16 or int32, little endian), then its segments (uint8) if the model has them; behind the last example
 * the lengths (int32) of all. N examples, T tokens.
 */
import { DataError } from "../../errors.js";
import { readAt, reopen } from "../../runtime/open-files.js";
import type { TokenBatch } from "./tokenizer-protocol.js";

/** Of one file. */
export interface TokenFormat {
  readonly count: number;
  /** Bytes of an id. */
  readonly idBytes: 2 | 4;
  readonly hasSegments: boolean;
}

export interface TokenRows {
  /** [N] */
  readonly lengths: Int32Array;
  /** Writes the tokens of example `index` into `ids` (and `segments`) from `offset` on. Throws DataError when the file is gone. */
  copy(index: number, offset: number, ids: Int32Array, segments: Uint8Array | undefined): void;
}

/** Ids up to 65,535 take half the room. */
export function idBytesOf(vocabularySize: number): 2 | 4 {
  return vocabularySize <= 2 ** 16 ? 2 : 4;
}

function tokenBytes({ idBytes, hasSegments }: TokenFormat): number {
  return idBytes + (hasSegments ? 1 : 0);
}

/** The content of examples in a file. */
export function rowsOf({ ids, segments, lengths }: TokenBatch, format: TokenFormat): Uint8Array {
  const bytes = Buffer.alloc(ids.length * tokenBytes(format));
  let [at, first] = [0, 0];
  for (const length of lengths) {
    for (const id of ids.subarray(first, first + length))
      at = format.idBytes === 2 ? bytes.writeUInt16LE(id, at) : bytes.writeInt32LE(id, at);
    if (format.hasSegments) bytes.set(segments.subarray(first, first + length), at);
    if (format.hasSegments) at += length;
    first += length;
  }
  return bytes;
}

/** The end of a file. */
export function lengthsOf(lengths: Int32Array): Uint8Array {
  const bytes = Buffer.alloc(4 * lengths.length);
  for (const [index, length] of lengths.entries()) bytes.writeInt32LE(length, 4 * index);
  return bytes;
}

export function tokensInMemory(content: Uint8Array, lengths: Int32Array, format: TokenFormat): TokenRows {
  return rows(lengths, format, (bytes, position) => {
    bytes.set(content.subarray(position, position + bytes.length));
    return bytes.length;
  });
}

/** The file has `contentBytes` and does not change; it is opened, so that it may be deleted. Undefined where it is not of this format. */
export function tokensInFile(path: string, contentBytes: number, format: TokenFormat): TokenRows | undefined {
  reopen(path);
  const end = Buffer.alloc(4 * format.count);
  const start = contentBytes - end.length;
  if (start < 0 || readAt(path, end, start) !== end.length) return undefined;
  const lengths = Int32Array.from({ length: format.count }, (_, index) => end.readInt32LE(4 * index));
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  if (tokens * tokenBytes(format) !== start) return undefined;
  return rows(lengths, format, (bytes, position) => readAt(path, bytes, position), path);
}

function rows(
  lengths: Int32Array,
  format: TokenFormat,
  read: (bytes: Uint8Array, position: number) => number,
  path?: string,
): TokenRows {
  const size = tokenBytes(format);
  const starts = new Float64Array(lengths.length);
  for (let index = 1; index < lengths.length; index++)
    starts[index] = (starts[index - 1] ?? 0) + (lengths[index - 1] ?? 0) * size;
  return {
    lengths,
    copy: (index, offset, ids, segments) => {
      const length = lengths[index] ?? 0;
      const bytes = Buffer.alloc(length * size);
      let reason = "it ends before that example";
      try {
        if (read(bytes, starts[index] ?? 0) !== bytes.length) throw new RangeError(reason);
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
        throw new DataError(
          `${path}: expected the tokens of example ${index} in the cache, as when the run began, found that ${reason}; start again (a fit with --resume), texts are tokenized anew`,
        );
      }
      for (let token = 0; token < length; token++)
        ids[offset + token] = format.idBytes === 2 ? bytes.readUInt16LE(2 * token) : bytes.readInt32LE(4 * token);
      segments?.set(bytes.subarray(length * format.idBytes), offset);
    },
  };
}
