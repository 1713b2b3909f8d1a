/** Names and paths of models, data, heads and classes, by name and as on the command line. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { headPaths, modelPath, modelPaths, namedPaths, TABLES } from "../../src/library/named-path.js";
import { temporaryFolder } from "../support/cli.js";

let cwd: string;
const place = (option: string) => ({ option, cwd });

beforeAll(async () => {
  cwd = await temporaryFolder();
  for (const name of ["models/One", "models/b_2", "data/x"]) await mkdir(join(cwd, name), { recursive: true });
  await writeFile(join(cwd, "models/b_2/model.safetensors"), "");
  for (const file of ["data/b.csv.gz", "data/notes.md", "head"]) await writeFile(join(cwd, file), "");
});

it("models: by name, from a folder of them, one that is a model itself, and on the hub", async () => {
  const both = [
    { name: "b-2", path: join(cwd, "models/b_2") },
    { name: "one", path: join(cwd, "models/One") },
  ];
  expect(await modelPaths(place("experts"), ["models"])).toEqual(both);
  expect(await modelPaths(place("experts"), ["models/b_2", "ONE=models/One"])).toEqual(both);
  expect(await modelPaths(place("experts"), { b_2: "models/b_2", One: "models/One" })).toEqual(both);
  expect(await modelPaths(place("experts"), ["x=org/x"])).toEqual([{ name: "x", path: "org/x" }]);
  expect(await modelPath(place("base"), "org/base")).toBe("org/base");
});

it("data: folders and tables of a folder, by the names there", async () => {
  expect(await namedPaths(place("data"), ["data"], TABLES)).toEqual([
    { name: "b", path: join(cwd, "data/b.csv.gz") },
    { name: "x", path: join(cwd, "data/x") },
  ]);
  expect(await namedPaths(place("data"), undefined, TABLES)).toEqual([]);
});

it("heads: files, and those that are made, in both forms", async () => {
  const expected = { heads: [{ name: "a", path: join(cwd, "head") }], zeroShot: ["b"] };
  expect(await headPaths(place("heads"), ["a=head", "B=zero-shot"])).toEqual(expected);
  expect(await headPaths(place("heads"), { a: "head", B: { zeroShot: true } })).toEqual(expected);
});

it("refuses what is not there and what names nothing, by the option's name", async () => {
  await expect(modelPath(place("base"), "gone")).rejects.toThrow(
    /^base gone: expected an existing path, found nothing/,
  );
  await expect(modelPaths(place("--expert"), ["!=models"])).rejects.toThrow(
    /^--expert !: expected a name with letters/,
  );
  await expect(namedPaths(place("--images"), ["models/One"], /\.csv$/)).rejects.toThrow(
    /^--images models\/One: expected NAME=PATH, or a folder with something for each expert/,
  );
});
