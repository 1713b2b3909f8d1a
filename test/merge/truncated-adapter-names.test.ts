/**
 * Truncated adapters of bases whose names peft would take for the ends of others; what an adapter cannot hold is
 * refused by its name.
 */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openCheckpoint, type StoredCheckpoint } from "../../src/checkpoint/checkpoint.js";
import { writeSafetensors } from "../../src/checkpoint/safetensors-writer.js";
import { saveTruncatedAdapter } from "../../src/merge/truncated-adapter.js";
import { randomArray } from "../support/random.js";
import { changedModel, OPTIONS, readBack, written } from "../support/truncated-adapters.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "truncated-adapter-names-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const baseOf = async (shapes: Readonly<Record<string, readonly number[]>>): Promise<StoredCheckpoint> => {
  const place = await mkdtemp(join(folder, "base-"));
  const tensors = Object.entries(shapes).map(([name, shape], seed) => ({
    name,
    shape,
    dtype: "F32",
    data: randomArray(
      shape.reduce((product, dim) => product * dim, 1),
      seed + 9,
    ),
  }));
  await writeSafetensors(join(place, "model.safetensors"), tensors);
  await writeFile(join(place, "config.json"), "{}");
  return openCheckpoint(place);
};

it("modules that end in the names of others are saved along, excluded, or have a rank of their own", async () => {
  const base = await baseOf({
    "norm.weight": [6],
    "layer.input_norm.weight": [6],
    "layer.fc.weight": [6, 3],
    "other.layer.fc.weight": [6, 6],
    "third.layer.fc.weight": [6, 6],
  });
  const isChanged = (name: string): boolean => !/^layer.input|^third/.test(name);
  const { config, place, report } = await written(folder, base, isChanged);
  expect(config).toMatchObject({
    modules_to_save: ["layer.input_norm", "norm"],
    exclude_modules: ["third.layer.fc"],
    target_modules: ["layer.fc", "other.layer.fc"],
  });
  expect(Object.entries(config.rank_pattern)).toEqual([
    ["other.layer.fc", 4],
    ["layer.fc", 3],
  ]);
  expect(report.whole).toEqual(["layer.input_norm.weight", "norm.weight"]);
  expect([...(await readBack(folder, place, base)).keys()].toSorted()).toEqual(
    [...base.tensors.keys()].filter((name) => !name.startsWith("third")).toSorted(),
  );
});

it("a parameter of a module's own is saved with the module, and refused where peft would find another in it", async () => {
  const shapes = {
    "vit.embeddings.cls_token": [1, 1, 4],
    "vit.embeddings.patch_embeddings.weight": [4, 3, 2, 2],
    "vit.fc.weight": [4, 4],
  };
  const isChanged = (name: string): boolean => !name.includes("patch");
  const { config, report } = await written(folder, await baseOf(shapes), isChanged);
  expect(config.modules_to_save).toEqual(["vit.embeddings"]);
  expect(report.whole).toEqual(["vit.embeddings.cls_token", "vit.embeddings.patch_embeddings.weight"]);
  const bare = await baseOf(Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name.slice(4), shape])));
  await expect(written(folder, bare, isChanged)).rejects.toThrow(
    /peft would take "embeddings\.patch_embeddings" in it for another/,
  );
});

it("refuses what an adapter cannot change", async () => {
  const base = await baseOf({ "fc.weight": [4, 4], scale: [4], "norm.weight": [4], "a b.weight": [4, 4] });
  const cases: [RegExp, RegExp][] = [
    [/fc|scale/, /tensor "scale" changed, and lies in no module of its own/],
    [/^norm/, /expected at least one changed matrix of a linear layer, found 1 changed tensors of other kinds/],
    [/a b/, /module "a b": expected a name of letters/],
    [/nothing/, /expected tensors that differ from .*, found none/],
  ];
  for (const [changed, message] of cases)
    await expect(written(folder, base, (name) => changed.test(name))).rejects.toThrow(message);
  for (const rank of [0, 1.5])
    await expect(written(folder, base, (name) => name === "fc.weight", { rank })).rejects.toThrow(
      /rank of an adapter: expected a whole number from 1/,
    );
  const model = await changedModel(base, () => true);
  const other = { ...model, tensors: new Map([["fc.weight", { shape: [4, 5] }]]) };
  await expect(written(folder, base, () => true, { model: other })).rejects.toThrow(
    /tensor "fc\.weight" \[4, 5\]: expected the same in the base .*, found shape \[4, 4\]/,
  );
  const infinite = {
    ...model,
    readFloat32: async () => new Float32Array(16).fill(Number.NaN),
    tensors: new Map([["fc.weight", { shape: [4, 4] }]]),
  };
  await expect(written(folder, base, () => true, { model: infinite })).rejects.toThrow(
    /tensor "fc\.weight": expected finite values/,
  );
});

it("a folder that has other files stays as it is", async () => {
  const base = await baseOf({ "fc.weight": [4, 4] });
  const place = await mkdtemp(join(folder, "mine-"));
  await writeFile(join(place, "mine.txt"), "mine");
  const model = await changedModel(base, () => true);
  for (const replace of [false, true])
    await expect(saveTruncatedAdapter(place, { ...OPTIONS, base, model, replace })).rejects.toThrow(/mine/);
  expect(await readdir(place)).toEqual(["mine.txt"]);
  const own = join(place, "adapter");
  await saveTruncatedAdapter(own, { ...OPTIONS, base, model });
  await saveTruncatedAdapter(own, { ...OPTIONS, base, model, replace: true });
});
