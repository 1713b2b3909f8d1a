/**
 * Every float type of safetensors and PyTorch files against torch's own casts (test/golden/make-floats.py), and what is
 * read of none.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { locationOf, openElementReader } from "../../src/checkpoint/element-reader.js";
import { writeSafetensors } from "../../src/checkpoint/safetensors.js";

const GOLDEN = join(import.meta.dirname, "..", "golden", "floats");
const DTYPES = { e4m3fn: "F8_E4M3", e5m2: "F8_E5M2", e4m3fnuz: "F8_E4M3FNUZ", e5m2fnuz: "F8_E5M2FNUZ", double: "F64" };
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "floats-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Bits, so that -0 is not 0; one for all NaN. */
function bitsOf(values: Float32Array): number[] {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Array.from(words, (word, i) => (Number.isNaN(values[i]) ? 0x7fc0_0000 : word));
}

it.each(["stored.safetensors", "stored.pt"])("%s has the values that torch reads, to the bit", async (file) => {
  const [stored, expected] = [
    await openCheckpoint(join(GOLDEN, file)),
    await openCheckpoint(join(GOLDEN, "expected.safetensors")),
  ];
  const reader = openElementReader();
  for (const [name, dtype] of Object.entries({
    ...DTYPES,
    ...(file.endsWith(".pt") ? { transposed: "F8_E4M3" } : {}),
  })) {
    const tensor = stored.tensors.get(name) ?? expect.fail(`no ${name} in ${file}`);
    expect(tensor.dtype, name).toBe(dtype);
    expect(tensor.shape, name).toEqual(expected.tensors.get(name)?.shape);
    const wanted = await expected.readFloat32(name);
    expect(bitsOf(await stored.readFloat32(name)), name).toEqual(bitsOf(wanted));
    // In pieces from any element on, as merges read.
    const rest = new Float32Array(wanted.length - 7);
    reader.readFloat32(locationOf(tensor), 7, rest);
    expect(bitsOf(rest), name).toEqual(bitsOf(wanted.slice(7)));
  }
  reader.close();
});

it("a number that float32 does not reach is named, and not made infinite", async () => {
  const path = join(folder, "large.safetensors");
  const data = new Uint8Array(Float64Array.of(1, 2, -1e300).buffer);
  await writeSafetensors(path, [{ name: "weight", dtype: "F64", shape: [3], data }]);
  const message = `${path}: tensor "weight": expected numbers within float32, in which models are merged, found -1e+300 at index 2.`;
  const found = await openCheckpoint(path);
  await expect(found.readFloat32("weight")).rejects.toThrow(message);
  const reader = openElementReader();
  const stored = found.tensors.get("weight") ?? expect.fail();
  expect(() => reader.readFloat32(locationOf(stored), 1, new Float32Array(2))).toThrow(message);
  reader.close();
});

it.each(["F8_E8M0", "U8", "I8", "BOOL"])("%s is no float, and refused by its name", async (dtype) => {
  const path = join(folder, `${dtype}.safetensors`);
  await writeSafetensors(path, [{ name: "weight", dtype, shape: [4], data: new Uint8Array(4) }]);
  await expect((await openCheckpoint(path)).readFloat32("weight")).rejects.toThrow(
    `tensor "weight": expected dtype F64, F32, F16, BF16, F8_E4M3 or F8_E5M2, found ${dtype}.`,
  );
});
