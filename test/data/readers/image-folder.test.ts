import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openDataset } from "../../../src/data/dataset.js";
import { DataError } from "../../../src/errors.js";
import { temporaryFolder, writeAt } from "../temporary-folder.js";

const root = temporaryFolder();
const put = (...names: string[]) => {
  for (const name of names) writeAt(root, name, name);
};
const open = (name: string, split: string, classes?: readonly string[]) =>
  openDataset({ kind: "image", path: join(root, name), split, classes, where: "tasks.x" });

describe("image folders", () => {
  it("reads split and class folders in the order of their names", async () => {
    put("pets/train/dog/2.jpg", "pets/train/dog/10.PNG", "pets/train/cat/b.webp", "pets/train/cat/a.jpeg");
    put("pets/train/cat/notes.txt", "pets/train/.hidden/x.png", "pets/test/dog/z.png", "pets/README.md");
    mkdirSync(join(root, "pets/test/cat"));
    const train = await open("pets", "train");
    expect(train).toMatchObject({ name: "pets", split: "train", size: 4, classes: ["cat", "dog"] });
    expect([...(train.labels ?? [])]).toEqual([0, 0, 1, 1]);
    const contents = await Promise.all(
      [0, 1, 2, 3].map(async (index) => Buffer.from(await train.encoded(index)).toString()),
    );
    expect(contents).toEqual(
      ["cat/a.jpeg", "cat/b.webp", "dog/10.PNG", "dog/2.jpg"].map((name) => `pets/train/${name}`),
    );
    const test = await open("pets", "test");
    expect([...(test.labels ?? [])]).toEqual([1]);
  });

  it("renumbers labels to the head's order", async () => {
    const train = await open("pets", "train", ["dog", "cat"]);
    expect(train.classes).toEqual(["dog", "cat"]);
    expect([...(train.labels ?? [])]).toEqual([1, 1, 0, 0]);
  });

  it("says which classes differ from the head's", async () => {
    await expect(open("pets", "train", ["cat", "bird"])).rejects.toThrow(
      "tasks.x: pets, split train: expected the head's 2 classes, found 2 that differ (only in the data set: dog; only in the head: bird)",
    );
  });

  it("reads class folders without splits, and folders without classes", async () => {
    put("flat/b/1.png", "flat/a/1.png", "bare/test/1.png", "bare/test/0.png", "loose/7.png");
    expect((await open("flat", "test")).classes).toEqual(["a", "b"]);
    const bare = await open("bare", "test", ["x", "y"]);
    expect(bare).toMatchObject({ size: 2, classes: ["x", "y"] });
    expect("labels" in bare).toBe(false);
    expect(bare.locate(0)).toBe(join(root, "bare/test/0.png"));
    expect((await open("loose", "test")).size).toBe(1);
  });

  it("does not take splits for classes", async () => {
    await expect(open("pets", "validation")).rejects.toThrow("expected a folder validation, found test, train");
  });

  it("refuses images beside class folders, empty splits, files and strange names", async () => {
    put("mixed/test/a/1.png", "mixed/test/2.png", "file");
    mkdirSync(join(root, "empty/test"), { recursive: true });
    mkdirSync(join(root, "nothing"));
    await expect(open("mixed", "test")).rejects.toThrow(
      "expected either class folders or images, found 1 folders (a, ...)",
    );
    await expect(open("empty", "test")).rejects.toThrow("expected at least 1 image");
    await expect(open("nothing", "test")).rejects.toThrow("expected split test as CSV manifest");
    await expect(open("file", "test")).rejects.toThrow("expected the directory of a data set, found a file");
    await expect(open("absent", "test")).rejects.toThrow("found nothing there");
    await expect(open("pets", "../pets")).rejects.toThrow('found "../pets"');
    await expect(open("pets", "..")).rejects.toThrow(DataError);
  });

  it("refuses parameters it does not have", async () => {
    const parameters = { image_column: "a" };
    const options = { kind: "image", path: join(root, "pets"), split: "train", where: "tasks.x", parameters } as const;
    await expect(openDataset(options)).rejects.toThrow(
      "tasks.x: parameters of the data set reader: unknown key `image_column`",
    );
  });

  it("follows links to folders and is not hung by loops", async () => {
    put("linked/test/a/1.png");
    symlinkSync(join(root, "linked/test/a"), join(root, "linked/test/b"));
    symlinkSync(join(root, "linked/test"), join(root, "linked/test/a/loop"));
    const linked = await open("linked", "test");
    expect(linked).toMatchObject({ size: 2, classes: ["a", "b"] });
  });

  it("names a file that went away", async () => {
    put("gone/test/1.png");
    const gone = await open("gone", "test");
    rmSync(join(root, "gone/test/1.png"));
    await expect(gone.encoded(0)).rejects.toThrow(`${join(root, "gone/test/1.png")}: expected a readable image`);
  });
});
