/** Bytes of safetensors files, right and wrong, for the tables of this folder. */

/** A file of this header (text or bytes), a length that may lie, and data. */
export function file(header: string | Uint8Array, dataBytes = 0, declared?: bigint): Uint8Array {
  const bytes = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(declared ?? BigInt(bytes.length));
  return Buffer.concat([length, bytes, Buffer.alloc(dataBytes)]);
}

/** A file with one tensor "t", written as given, and data. */
export function tensor(entry: string, dataBytes = 0): Uint8Array {
  return file(`{"t":${entry}}`, dataBytes);
}

export const F32 = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}';
export const at = (begin: number, end: number, count = (end - begin) / 4) =>
  `{"dtype":"F32","shape":[${count}],"data_offsets":[${begin},${end}]}`;
