/**
 * Head files: what is written is read again to the bit, files of suites are read by the same reader, and what does not
 * fit is refused by name.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readSafetensorsHeader } from "../../src/checkpoint/safetensors.js";
import { writeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { CheckpointError } from "../../src/errors.js";
import { openHeadFile, writeHeadFile } from "../../src/model/head-file.js";
import { type Head, loadHead } from "../../src/model/heads.js";
import { ROOT } from "../support/cli.js";
import { randomArray } from "../support/random.js";

const folder = mkdtempSync(join(tmpdir(), "adamerge-heads-"));
afterAll(() => rmSync(folder, { recursive: true }));

const CLASSES = ["cat", 'a "dog"', "été\n"];
const MEAN = { pooling: "mean", normalized: true } as const;
const PLAIN: Head = {
  ...{ task: "pets", classes: 3, featureSize: 4, logitScale: Math.fround(8.8) },
  ...{ weight: randomArray(12, 1), bias: randomArray(3, 2) },
};
const HIDDEN: Head = {
  ...PLAIN,
  weight: randomArray(6, 3),
  hidden: { size: 2, weight: randomArray(8, 4), bias: randomArray(2, 5), activation: "relu" },
};
const ADAPTED: Head = { ...HIDDEN, adapter: { rank: 2, down: randomArray(8, 6), up: randomArray(8, 7) } };
const wanted = { task: "pets", classes: 3, featureSize: 4 };

async function written(head: Head, notes: Parameters<typeof writeHeadFile>[2] = {}): Promise<string> {
  const path = join(folder, "head.safetensors");
  await writeHeadFile(path, head, notes);
  return path;
}

describe("a head that was written", () => {
  it.each([
    ["plain", PLAIN],
    ["with a hidden layer", HIDDEN],
    ["with an adapter before it", ADAPTED],
  ])("is read to the bit: %s", async (_, head) => {
    const path = await written(head, { classes: CLASSES, features: MEAN, maxLength: 32 });
    const file = await openHeadFile(path);
    expect(file).toMatchObject({ rows: 3, featureSize: 4, classes: CLASSES, features: MEAN, maxLength: 32 });
    expect(await file.read("pets")).toEqual(head);
    expect(await loadHead(path, { ...wanted, names: CLASSES, features: MEAN })).toEqual(head);
  });

  it("has the names that the format says, and only what is known of it", async () => {
    const { metadata, tensors } = await readSafetensorsHeader(await written(HIDDEN, { classes: CLASSES }));
    expect(Object.fromEntries(metadata)).toEqual({
      ...{ format: "adamerge-head", version: "1", hidden_activation: "relu" },
      classes: JSON.stringify(CLASSES),
    });
    const shapes = [...tensors.values()].map(({ name, dtype, shape }) => [name, dtype, ...shape]);
    expect(new Map(shapes.map((shape) => [shape[0], shape.slice(1)]))).toEqual(
      new Map<string | number | undefined, unknown>([
        ["weight", ["F32", 3, 2]],
        ["bias", ["F32", 3]],
        ["logit_scale", ["F32"]],
        ["hidden.weight", ["F32", 2, 4]],
        ["hidden.bias", ["F32", 2]],
      ]),
    );
  });

  it("is of version 2 with an adapter, which must be whole", async () => {
    const { metadata, tensors } = await readSafetensorsHeader(await written(ADAPTED));
    expect(metadata.get("version")).toBe("2");
    expect(tensors.get("adapter.up")?.shape).toEqual([4, 2]);
    const path = join(folder, "half.safetensors");
    const half = { name: "adapter.down", dtype: "F32", shape: [2, 4], data: randomArray(8, 6) };
    const weight = { name: "weight", dtype: "F32", shape: [3, 4], data: randomArray(12, 1) };
    const notes = { format: "adamerge-head", version: "2" };
    await writeSafetensors(path, [weight, half], { metadata: new Map(Object.entries(notes)) });
    await expect((await openHeadFile(path)).read("pets", 1)).rejects.toThrow(
      /adapter\.up: expected 8 values, found none/,
    );
    await writeSafetensors(path, [weight], { metadata: new Map(Object.entries(notes)) });
    await expect(openHeadFile(path)).rejects.toThrow(/expected a tensor adapter\.down \[rank, features\]/);
    rmSync(path);
  });

  it("replaces a former one, and leaves nothing beside it", async () => {
    await written(PLAIN);
    await written(HIDDEN);
    expect(readdirSync(folder)).toEqual(["head.safetensors"]);
  });
});

describe("the head of a task", () => {
  it("is one that a suite ships, whose scale is the suite's", async () => {
    const path = join(ROOT, "datasets", "mini8", "heads", "mnist.safetensors");
    const file = await openHeadFile(path);
    expect([file.rows, file.featureSize, file.classes, file.features]).toEqual([10, 64, undefined, undefined]);
    expect((await file.read("mnist", 8.8)).logitScale).toBe(8.8);
    await expect(file.read("mnist")).rejects.toThrow(/expected a tensor logit_scale, or logit_scale in the suite's/);
  });

  it.each([
    [{ classes: 2 }, /weight: expected shape \[2, 4\] \(classes of task pets, features of the tower\), found \[3, 4\]/],
    [{ featureSize: 5 }, /weight: expected shape \[3, 5\].*found \[3, 4\]/],
    [
      { names: ["cat", "été\n", 'a "dog"'] },
      /expected the classes of task pets in their order, of which number 1 is .*, found .*dog.*name the task's `classes` as the head does/,
    ],
    [
      { features: { pooling: "cls", normalized: false } as const },
      /expected a head for the model's features \(cls, of any length\), found one for others \(mean, length 1\)/,
    ],
  ])("is refused where it is of another: %o", async (other, message) => {
    const path = await written(PLAIN, { classes: CLASSES, features: MEAN });
    const failure = await loadHead(path, { ...wanted, ...other }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CheckpointError);
    expect(String(failure)).toMatch(message);
  });

  it("may have tensors and notes of others", async () => {
    const path = join(folder, "foreign.safetensors");
    const data = randomArray(12, 1);
    const tensors = ["weight", "adapter.down"].map((name) => ({ name, dtype: "F32", shape: [3, 4], data }));
    await writeSafetensors(path, tensors, { metadata: { format: "pt", classes: "no JSON", version: "7" } });
    const file = await openHeadFile(path);
    expect(file.classes).toBeUndefined();
    expect(await file.read("pets", 2)).toEqual({ ...PLAIN, logitScale: 2, bias: new Float32Array(3) });
  });
});
