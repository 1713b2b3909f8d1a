/** CRC-32 against its published check value, whole and in parts, by both ways. */
import { expect, it } from "vitest";
import { crc32, crc32ByTable } from "../../src/checkpoint/crc32.js";

it.each([
  ["as it is chosen", crc32],
  ["by the table", crc32ByTable],
])("%s", (_, checksum) => {
  const bytes = Buffer.from("123456789");
  expect(checksum(bytes)).toBe(0xcbf43926);
  expect(checksum(bytes.subarray(4), checksum(bytes.subarray(0, 4)))).toBe(0xcbf43926);
  expect(checksum(new Uint8Array())).toBe(0);
});
