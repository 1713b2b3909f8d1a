import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from "../../src/checkpoint/float16.js";
import { readByteRange, readSafetensorsHeader, readTensorFloat32 } from "../../src/checkpoint/safetensors.js";

const golden = new URL("../golden/", import.meta.url).pathname;
const allPatterns = Uint16Array.from({ length: 65_536 }, (_, i) => i);

async function readBits(name: string): Promise<Uint16Array> {
  const file = await readSafetensorsHeader(`${golden}half.safetensors`);
  const { byteOffset, byteLength } = file.tensors.get(name) ?? expect.fail(name);
  return new Uint16Array((await readByteRange(file.path, byteOffset, byteLength)).buffer);
}

function sha256WithoutNan(values: Float32Array): string {
  const clean = values.map((value) => (Number.isNaN(value) ? 0 : value));
  return createHash("sha256").update(new Uint8Array(clean.buffer)).digest("hex");
}

describe.each([
  { name: "f16", encode: encodeFloat16, decode: decodeFloat16 },
  { name: "bf16", encode: encodeBfloat16, decode: decodeBfloat16 },
])("$name", ({ name, encode, decode }) => {
  it("decodes every pattern as torch does", () => {
    const expected: Record<string, string> = JSON.parse(readFileSync(`${golden}half.json`, "utf8"));
    expect(sha256WithoutNan(decode(allPatterns))).toBe(expected[name]);
  });

  it("encodes ties, denormals, overflow and random bits as torch does", async () => {
    const inputs = await readTensorFloat32(await readSafetensorsHeader(`${golden}half.safetensors`), "inputs");
    const expected = await readBits(name);
    const found = encode(inputs);
    expect(found.length).toBe(inputs.length);
    for (const [i, input] of inputs.entries()) {
      if (Number.isNaN(input)) expect(decode(found.subarray(i, i + 1))[0]).toBeNaN();
      else expect(found[i], `input ${input}`).toBe(expected[i]);
    }
  });

  it("encodes what it decoded to the same pattern", () => {
    const decoded = decode(allPatterns);
    const again = encode(decoded);
    const wrong = allPatterns.filter((bits) => !Number.isNaN(decoded[bits]) && again[bits] !== bits);
    expect([...wrong]).toEqual([]);
  });

  it("keeps every NaN one, also those whose mantissa is all ones", () => {
    for (const pattern of [0x7f80_0001, 0x7fbf_ffff, 0x7fff_8000, 0x7fff_ffff, 0xff80_0001, 0xffff_ffff])
      expect(decode(encode(new Float32Array(Uint32Array.of(pattern).buffer)))[0], pattern.toString(16)).toBeNaN();
  });

  it("works on a view that does not begin its buffer", () => {
    const values = new Float32Array([9, 1.5, -2]).subarray(1);
    expect([...decode(encode(values))]).toEqual([1.5, -2]);
  });
});
