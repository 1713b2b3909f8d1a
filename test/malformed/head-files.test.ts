/**
 * Head files that are damaged, of a later version, or something else: each refused with one sentence that says what is
 * wrong.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { CheckpointError } from "../../src/errors.js";
import { openHeadFile } from "../../src/model/head-file.js";

const folder = mkdtempSync(join(tmpdir(), "adamerge-heads-"));
afterAll(() => rmSync(folder, { recursive: true }));

type Shapes = Readonly<Record<string, readonly number[]>>;
const SOUND: Shapes = { weight: [3, 4], bias: [3], logit_scale: [] };
const NOTES = { format: "adamerge-head", version: "1", classes: '["a","b","c"]' };

async function write(shapes: Shapes, notes: Readonly<Record<string, string>>, value = 1): Promise<string> {
  const path = join(folder, "head.safetensors");
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value);
    return { name, dtype: "F32", shape, data };
  });
  await writeSafetensors(path, tensors, { metadata: notes });
  return path;
}

async function refused(path: string): Promise<string> {
  const failure = await openHeadFile(path)
    .then((file) => file.read("task"))
    .catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(CheckpointError);
  return String(failure);
}

test("the sound one is read", async () => {
  const head = await (await openHeadFile(await write(SOUND, NOTES))).read("task");
  expect([head.classes, head.logitScale, head.weight.length]).toEqual([3, 1, 12]);
});

test.each<readonly [what: string, shapes: Shapes, notes: Readonly<Record<string, string>>, message: RegExp]>([
  ["no weight", { bias: [3] }, {}, /expected a tensor weight \[classes, features\], found the tensors "bias"/],
  ["no classes", { weight: [0, 4] }, {}, /expected a tensor weight \[classes, features\], found shape \[0, 4\]/],
  ["a weight of one dimension", { weight: [4] }, {}, /expected a tensor weight .*found shape \[4\]/],
  ["another bias", { ...SOUND, bias: [2] }, {}, /bias: expected 3 values, found 2/],
  ["two scales", { ...SOUND, logit_scale: [2] }, {}, /logit_scale: expected 1 values, found 2/],
  ["a hidden layer of another width", { ...SOUND, "hidden.weight": [5, 4] }, {}, /expected a weight \[3, 5\] behind/],
  [
    "a hidden layer without a bias",
    { ...SOUND, "hidden.weight": [4, 6] },
    { ...NOTES, hidden_activation: "tanh" },
    /hidden\.bias: expected 4 values, found none/,
  ],
  [
    "a hidden layer with an unknown activation",
    { ...SOUND, "hidden.weight": [4, 6], "hidden.bias": [4] },
    { ...NOTES, hidden_activation: "swish" },
    /expected the activation of its hidden layer .*tanh or relu\), found "swish"/,
  ],
  ["a later version", SOUND, { ...NOTES, version: "3" }, /expected a head of version 1 or 2, found "3"/],
  [
    "the version of heads with an adapter, without one",
    SOUND,
    { ...NOTES, version: "2" },
    /expected a tensor adapter\.down \[rank, features\], found the tensors "bias"/,
  ],
  ["no version", SOUND, { format: "adamerge-head" }, /expected a head of version 1 or 2, found none/],
  ["too few names", SOUND, { ...NOTES, classes: '["a","b"]' }, /expected 3 names, one for each row of weight, found 2/],
  ["a name twice", SOUND, { ...NOTES, classes: '["a","b","a"]' }, /expected 3 names.*found "a" twice/],
  ["names that are no names", SOUND, { ...NOTES, classes: "[1,2,3]" }, /classes in __metadata__: expected a JSON list/],
  [
    "names that are no JSON",
    SOUND,
    { ...NOTES, classes: "[".repeat(9000) },
    /classes in __metadata__: expected a JSON/,
  ],
  [
    "unknown features",
    SOUND,
    { ...NOTES, features: '{"pooling":"max"}' },
    /features in __metadata__: expected JSON such/,
  ],
  ["a length of 0", SOUND, { ...NOTES, max_length: "0" }, /max_length in __metadata__: expected a whole number from 1/],
])("%s", async (_, shapes, notes, message) => {
  expect(await refused(await write(shapes, notes))).toMatch(message);
});

test("values that are not numbers", async () => {
  expect(await refused(await write(SOUND, NOTES, Number.NaN))).toMatch(/head\.safetensors.*(?:NaN|finite)/);
});

test.each([
  ["empty.safetensors", ""],
  ["page.safetensors", "<!DOCTYPE html><html></html>"],
  ["text.safetensors", "weight: 1\n".repeat(100)],
])("a file that is no head: %s", async (name, content) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  expect(await refused(path)).toMatch(/^CheckpointError: .*\.safetensors: .*expected /);
});
