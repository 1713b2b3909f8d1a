/**
 * Files in the forms of published model cards, which mergekit runs (mergekit-files/make.py), run here: the same types
 * and values. Of each tensor two sums over its elements are compared, with a bound for roundings of 8 bits where
 * mergekit computes in bfloat16.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { readMergeFile } from "../../src/config/merge-file.js";
import { mergeModels } from "../../src/run/merge-models/merge-models.js";
import { CONFORMANCE } from "./fixture.js";

const STORED: ReadonlyMap<string, string> = new Map([
  ["float32", "F32"],
  ["bfloat16", "BF16"],
  ["float64", "F64"],
]);
const rowsSchema = z.array(
  z.object({
    name: z.string(),
    text: z.string(),
    dtype: z.string().optional(),
    tensors: z.record(z.string(), z.tuple([z.number(), z.number()])).optional(),
    error: z.string().optional(),
  }),
);
const rows = rowsSchema.parse(JSON.parse(await readFile(join(CONFORMANCE, "mergekit-files", "expected.json"), "utf8")));

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mergekit-files-"));
  for (const name of ["base", "a", "b", "c"])
    await cp(join(CONFORMANCE, "merge-file", "models", name), join(folder, name), { recursive: true });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function merged(name: string, text: string): Promise<{ output: string; log: readonly string[] }> {
  const path = join(folder, `${name}.yaml`);
  await writeFile(path, text);
  const [output, log] = [join(folder, `of-${name}`), [] as string[]];
  const signal = new AbortController().signal;
  const options = { overwrite: false, signal, log: (line: string) => log.push(line), onProgress: () => {}, threads: 1 };
  await mergeModels(await readMergeFile(path), output, options);
  return { output, log };
}

function sums(values: Float32Array): readonly [number, number] {
  return [
    values.reduce((sum, value, i) => sum + value * Math.cos(i), 0),
    values.reduce((sum, value) => sum + value * value, 0),
  ];
}

it.each(rows.filter(({ error }) => error === undefined))("$name", async ({ name, text, dtype = "", tensors = {} }) => {
  const found = await openCheckpoint((await merged(name, text)).output);
  expect([...found.tensors.keys()].toSorted()).toEqual(Object.keys(tensors).toSorted());
  const most = /bfloat16/.test(text) ? 2 ** -6 : 1e-5;
  for (const [tensor, [product, squares]] of Object.entries(tensors)) {
    expect(found.tensors.get(tensor)?.dtype, tensor).toBe(STORED.get(dtype));
    const [ownProduct, ownSquares] = sums(await found.readFloat32(tensor));
    expect(Math.abs(ownProduct - product) / Math.sqrt(squares), tensor).toBeLessThan(most);
    expect(Math.abs(ownSquares - squares) / squares, tensor).toBeLessThan(2 * most);
  }
});

it("says which settings it passes over, with their lines", async () => {
  const row = rows.find(({ name }) => name === "slerp-weight-ignored") ?? expect.fail("no such file");
  const { log } = await merged("notices", row.text);
  expect(log).toContain(
    `notice: ${join(folder, "notices.yaml")}:3: models: base: parameters: weight is not used by slerp there, and passed over`,
  );
  expect(log.join("\n")).toMatch(/notices\.yaml:10: parameters: embed_slerp is not used by slerp/);
});
