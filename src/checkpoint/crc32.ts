/** The checksum of zip records: CRC-32 of IEEE 802.3, reflected, polynomial 0xedb88320. Node's own where there is one (from 20.15 on). */
import * as zlib from "node:zlib";

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

/** Of `bytes`, after others whose checksum is `previous`. */
export function crc32(bytes: Uint8Array, previous = 0): number {
  return "crc32" in zlib ? zlib.crc32(bytes, previous) : crc32ByTable(bytes, previous);
}

export function crc32ByTable(bytes: Uint8Array, previous = 0): number {
  let crc = previous ^ 0xffff_ffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] ?? 0);
  return (crc ^ 0xffff_ffff) >>> 0;
}
