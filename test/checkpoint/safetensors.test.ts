import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  readByteRange,
  readSafetensorsHeader,
  readTensorFloat32,
  writeSafetensors,
  writeSafetensorsStream,
} from "../../src/checkpoint/safetensors.js";
import type { WritableTensor } from "../../src/checkpoint/safetensors-writer.js";

const golden = new URL("../golden/", import.meta.url).pathname;

interface ExpectedTensor {
  name: string;
  dtype: string;
  shape: number[];
  values: number[];
}
const FORMAT_NAMES = new Map([
  ["float32", "F32"],
  ["float16", "F16"],
  ["bfloat16", "BF16"],
  ["int64", "I64"],
  ["uint8", "U8"],
]);

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "safetensors-"));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

async function goldenTensors(): Promise<ExpectedTensor[]> {
  return JSON.parse(await readFile(`${golden}mixed.json`, "utf8"));
}

async function rawBytes(path: string, name: string): Promise<Uint8Array> {
  const { byteOffset, byteLength } = (await readSafetensorsHeader(path)).tensors.get(name) ?? expect.fail(name);
  return readByteRange(path, byteOffset, byteLength);
}

describe("golden files of the reference library", () => {
  it("reads names, dtypes, shapes, metadata and values", async () => {
    const file = await readSafetensorsHeader(`${golden}mixed.safetensors`);
    const expected = await goldenTensors();
    expect([...file.metadata]).toEqual([["format", "pt"]]);
    expect([...file.tensors.keys()].toSorted()).toEqual(expected.map(({ name }) => name).toSorted());
    for (const { name, dtype, shape, values } of expected) {
      const entry = file.tensors.get(name);
      expect(entry?.dtype).toBe(FORMAT_NAMES.get(dtype));
      expect(entry?.shape).toEqual(shape);
      if (dtype.includes("float")) expect([...(await readTensorFloat32(file, name))]).toEqual(values);
    }
  });

  it("writes the same bytes", async () => {
    const tensors: WritableTensor[] = [];
    for (const { name, dtype, shape, values } of (await goldenTensors()).toReversed()) {
      const data = dtype.includes("float")
        ? Float32Array.from(values)
        : await rawBytes(`${golden}mixed.safetensors`, name);
      tensors.push({ name, dtype: FORMAT_NAMES.get(dtype) ?? "", shape, data });
    }
    await writeSafetensors(join(folder, "again.safetensors"), tensors, { metadata: { format: "pt" } });
    const [found, expected] = await Promise.all([
      readFile(join(folder, "again.safetensors")),
      readFile(`${golden}mixed.safetensors`),
    ]);
    expect(found.equals(expected)).toBe(true);
  });
});

describe("writing", () => {
  const one = { name: "a", dtype: "F32", shape: [2], data: Float32Array.of(1, 2) };

  it("asks for one tensor at a time, in the order of the file", async () => {
    const asked: string[] = [];
    const specs = [{ ...one, name: "b" }, { ...one, name: "h", dtype: "F16" }, one];
    const path = join(folder, "deep", "x.safetensors");
    await writeSafetensorsStream(path, specs, async (name) => {
      asked.push(name);
      return Float32Array.of(asked.length, 0);
    });
    expect(asked).toEqual(["a", "b", "h"]);
    const file = await readSafetensorsHeader(path);
    expect([...file.tensors.keys()]).toEqual(["a", "b", "h"]);
    expect([...(await readTensorFloat32(file, "h"))]).toEqual([3, 0]);
  });

  it("writes an empty file that it can read", async () => {
    await writeSafetensors(join(folder, "empty"), []);
    expect((await readSafetensorsHeader(join(folder, "empty"))).tensors.size).toBe(0);
  });

  it.each([
    ["a reserved name", [{ ...one, name: "__metadata__" }], /other than the empty one and __metadata__/],
    ["an empty name", [{ ...one, name: "" }], /other than the empty one/],
    ["a name twice", [one, one], /expected every tensor once for tensor "a"/],
    ["an unknown dtype", [{ ...one, dtype: "F31" }], /expected a known dtype, not "F31",/],
    ["a negative dim", [{ ...one, shape: [-1] }], /shape of unsigned integers, not \[-1\]/],
    ["values that do not fill the shape", [{ ...one, shape: [3] }], /of shape \[3\] F32: expected 12 bytes, found 8/],
    ["floats for an integer", [{ ...one, dtype: "I64" }], /expected raw bytes for dtype I64, found float32 values/],
    [
      "overflow of F16",
      [{ ...one, dtype: "F16", data: Float32Array.of(1, 7e4) }],
      /expected values within F16, found 70000 at index 1. Save it as F32/,
    ],
  ])("refuses %s and leaves nothing", async (_, tensors, message) => {
    await expect(writeSafetensors(join(folder, "x"), tensors)).rejects.toThrow(message);
    expect(await readdir(folder)).toEqual([]);
  });

  it("keeps infinities that were there", async () => {
    await writeSafetensors(join(folder, "x"), [{ ...one, dtype: "F16", data: Float32Array.of(Infinity, NaN) }]);
    const values = await readTensorFloat32(await readSafetensorsHeader(join(folder, "x")), "a");
    expect([...values]).toEqual([Infinity, NaN]);
  });
});

describe("a file that changes after its header was read", () => {
  it.each([
    ["shrinks", (path: string) => truncate(path, 70)],
    ["grows", (path: string) => appendFile(path, "x")],
  ])("%s: is refused", async (_, change) => {
    const path = join(folder, "x");
    await writeSafetensors(path, [{ name: "a", dtype: "F32", shape: [8], data: new Float32Array(8) }]);
    const file = await readSafetensorsHeader(path);
    await change(path);
    await expect(readTensorFloat32(file, "a")).rejects.toThrow(/one that changed meanwhile/);
  });

  it("an unknown tensor and a dtype that is no float are named", async () => {
    const file = await readSafetensorsHeader(`${golden}mixed.safetensors`);
    await expect(readTensorFloat32(file, "nope")).rejects.toThrow(/expected a tensor "nope", found 9 others/);
    await expect(readTensorFloat32(file, "position_ids")).rejects.toThrow(
      /expected dtype F64, F32, F16, BF16, F8_E4M3 or F8_E5M2, found I64/,
    );
  });
});

it("reads tensors beyond 4 GiB in a sparse file by range", async () => {
  const path = join(folder, "big.safetensors");
  const hugeBytes = 4_400_000_000;
  const header = Buffer.from(
    JSON.stringify({
      huge: { dtype: "U8", shape: [hugeBytes], data_offsets: [0, hugeBytes] },
      tail: { dtype: "F32", shape: [2], data_offsets: [hugeBytes, hugeBytes + 8] },
    }),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  await writeFile(path, Buffer.concat([length, header]));
  await truncate(path, 8 + header.length + hugeBytes);
  await appendFile(path, new Uint8Array(Float32Array.of(3, 4).buffer));
  expect([...(await readTensorFloat32(await readSafetensorsHeader(path), "tail"))]).toEqual([3, 4]);
});
