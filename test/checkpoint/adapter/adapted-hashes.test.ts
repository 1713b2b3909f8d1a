/** What adapters make of tensors is hashed once for the same ingredients, and again for any that differ. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { adaptedHash } from "../../../src/checkpoint/adapter/adapted-hashes.js";
import { addLowRankProduct } from "../../../src/checkpoint/adapter/low-rank.js";
import { readModelFile } from "../../../src/checkpoint/model-files.js";
import { writeSafetensors } from "../../../src/checkpoint/safetensors.js";
import { temporaryFolder } from "../../support/cli.js";
import { randomArray } from "../../support/random.js";

it("is computed once for the same factors, base and scaling, wherever the files lie", async () => {
  const folder = await temporaryFolder();
  const factor = async (name: string, value: number) => {
    const path = join(folder, `${name}.safetensors`);
    await writeSafetensors(path, [{ name: "a", dtype: "F32", shape: [2], data: Float32Array.of(1, value) }]);
    return (await readModelFile(path)).tensors.get("a");
  };
  const [first, copy, other] = [await factor("first", 2), await factor("copy", 2), await factor("other", 3)];
  let computed = 0;
  const compute = async () => String(++computed);
  const of = (stored: typeof first, baseSha256 = "base", scaling = 1) =>
    adaptedHash({ stored: [stored, undefined], baseSha256, settings: [scaling] }, compute);
  expect(await of(first)).toBe("1");
  expect(await of(copy)).toBe("1");
  expect(await of(other)).toBe("2");
  expect(await of(first, "another")).toBe("3");
  expect(await of(first, "base", 2)).toBe("4");
  expect(await of(first)).toBe("1");
  expect(computed).toBe(4);
});

it.each([1, 7, 8, 16, 21])("adds %d ranks one after another, to the bit", (rank) => {
  const [rows, columns] = [5, 12];
  const a = randomArray(rank * columns, 1, -1, 1);
  const b = randomArray(rows * rank, 2, -1, 1);
  b[rank] = 0;
  const weight = randomArray(rows * columns, 3, -1, 1);
  const expected = weight.map((value, index) => {
    const [row, column] = [Math.floor(index / columns), index % columns];
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += (b[row * rank + k] ?? 0) * (a[k * columns + column] ?? 0);
    return value + Math.fround(sum * 0.5);
  });
  addLowRankProduct(weight, { a, b, rank, scaling: 0.5 });
  expect(weight).toEqual(expected);
});

it("leaves out ranks without a share, whatever they would be multiplied with", () => {
  const weight = Float32Array.of(1, 2);
  addLowRankProduct(weight, { a: Float32Array.of(Number.NaN, 1, 3, 4), b: Float32Array.of(0, 1), rank: 2, scaling: 1 });
  expect(weight).toEqual(Float32Array.of(4, 6));
});
