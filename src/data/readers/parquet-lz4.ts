/**
 * LZ4 blocks in parquet files, under both names that the format has: LZ4_RAW (one block, what pyarrow writes) and LZ4 (older: blocks framed
 * as Hadoop does, or one bare block, as Arrow before 2.0 wrote). Strict: every length is checked before it is used. It stands in for that of
 * hyparquet-compressors, which does not read a page of no bytes (a column of nothing but nulls). Source: the LZ4 block format description;
 * parquet-format, Compression.md; Arrow's compression_lz4.cc.
 */

/** A length of 15 is continued by bytes until one is below 255. */
const LONG = 15;
const LEAST_MATCH = 4;
/** Of a frame: how long it becomes, and how long it is, both big-endian. */
const FRAME_HEADER = 8;

/** One block that becomes exactly `outputLength` bytes. */
export function decompressLz4Raw(input: Uint8Array, outputLength: number): Uint8Array {
  const output = new Uint8Array(outputLength);
  const written = decompressBlock(input, output, 0);
  if (written !== outputLength) throw new Error(`an LZ4 block of ${outputLength} bytes ends after ${written}`);
  return output;
}

/** Framed blocks, or one bare block where the bytes are no whole frames. */
export function decompressLz4(input: Uint8Array, outputLength: number): Uint8Array {
  return decompressFrames(input, outputLength) ?? decompressLz4Raw(input, outputLength);
}

/** Undefined where the lengths are not those of frames. */
function decompressFrames(input: Uint8Array, outputLength: number): Uint8Array | undefined {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const output = new Uint8Array(outputLength);
  let [at, written] = [0, 0];
  while (at < input.length) {
    if (at + FRAME_HEADER > input.length) return undefined;
    const [becomes, length] = [view.getUint32(at), view.getUint32(at + 4)];
    at += FRAME_HEADER;
    if (length > input.length - at || becomes > outputLength - written) return undefined;
    try {
      const end = written + becomes;
      if (decompressBlock(input.subarray(at, at + length), output.subarray(0, end), written) !== end) return undefined;
      written = end;
    } catch {
      return undefined;
    }
    at += length;
  }
  return written === outputLength ? output : undefined;
}

/** Writes the block's bytes from `written` on; matches may reach back before it. Returns where it ends. */
function decompressBlock(input: Uint8Array, output: Uint8Array, written: number): number {
  let [at, end] = [0, written];
  const next = () => {
    const byte = input[at++];
    if (byte === undefined) throw new Error("an LZ4 block is cut off");
    return byte;
  };
  const lengthOf = (nibble: number) => {
    let length = nibble;
    if (nibble < LONG) return length;
    for (;;) {
      const byte = next();
      length += byte;
      if (byte < 255) return length;
    }
  };
  while (at < input.length) {
    const token = next();
    const literals = lengthOf(token >> 4);
    if (literals > input.length - at) throw new Error("an LZ4 block is cut off");
    if (literals > output.length - end) throw new Error(`an LZ4 block becomes more than ${output.length} bytes`);
    output.set(input.subarray(at, at + literals), end);
    at += literals;
    end += literals;
    // The last sequence has literals only.
    if (at === input.length) return end;
    const offset = next() | (next() << 8);
    const length = lengthOf(token & 15) + LEAST_MATCH;
    if (offset === 0 || offset > end) throw new Error(`an LZ4 block refers to ${offset} bytes before, of ${end}`);
    if (length > output.length - end) throw new Error(`an LZ4 block becomes more than ${output.length} bytes`);
    // Byte by byte: a match may overlap what it writes.
    for (const stop = end + length; end < stop; end++) output[end] = output[end - offset] ?? 0;
  }
  return end;
}
