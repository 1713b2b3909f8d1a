/** Which splits a data set's names show, in every layout. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { datasetSplits, openDataset } from "../../src/data/dataset.js";
import { MINI8 } from "../support/mini8-files.js";
import { temporaryFolder, writeAt } from "./temporary-folder.js";

const root = temporaryFolder();
const put = (...names: string[]) => {
  for (const name of names) writeAt(root, name, "path,label,split\nx.png,a,train\ny.png,b,extra\n");
};
const splits = (name: string) => datasetSplits(join(root, name), "image", "--images x");

describe("splits of a data set", () => {
  it("are folders, CSV files, a column, or parquet files by name", async () => {
    put("folders/train/a/1.png", "folders/Test/a/1.png", "folders/notes/1.txt");
    expect(await splits("folders")).toEqual(["Test", "train"]);
    put("files/test.csv", "files/train.csv", "files/other.csv");
    expect(await splits("files")).toEqual(["test", "train"]);
    put("column/manifest.csv", "column/test.csv");
    expect(await splits("column")).toEqual(["train", "extra"]);
    expect(await datasetSplits(join(MINI8, "tasks", "mnist"), "image", "x")).toEqual(["adapt", "val", "test"]);
  });

  it("are none where images are one collection, also beside a CSV of another kind", async () => {
    put("classes/a/1.png", "classes/b/1.png", "classes/prices.csv", "loose/1.png");
    expect(await splits("classes")).toEqual([]);
    expect(await splits("loose")).toEqual([]);
    const opened = await openDataset({ kind: "image", path: join(root, "classes"), split: "all", where: "x" });
    expect(opened.files).toEqual(["a", "b"].map((name) => join(root, "classes", name, "1.png")));
  });

  it("are not looked for where there is no data set", async () => {
    mkdirSync(join(root, "nothing", "deep"), { recursive: true });
    put("nothing/deep/deeper/1.png", "file.txt");
    await expect(splits("nothing")).rejects.toThrow(
      /--images x: .*nothing: expected images as CSV manifest .*, found none/,
    );
    await expect(splits("gone")).rejects.toThrow("expected the directory of a data set, found nothing there");
    await expect(splits("file.txt")).rejects.toThrow("expected the directory of a data set, found a file");
  });
});
