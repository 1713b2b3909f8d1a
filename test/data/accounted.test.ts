/** What of a data set's files, rows and columns is read, and that the rest is counted and named: folders, archives, CSV files. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { datasetSplits, type OpenDatasetOptions, openDataset } from "../../src/data/dataset.js";
import { DataError } from "../../src/errors.js";
import { temporaryFolder, writeAt } from "./temporary-folder.js";

const root = temporaryFolder();
const put = (...names: string[]) => {
  for (const name of names) writeAt(root, name, name);
};
const open = (name: string, more: Partial<OpenDatasetOptions> = {}) =>
  openDataset({ kind: "image", path: join(root, name), split: "train", where: "x", ...more });
const csv = (name: string, text: string | Uint8Array) => {
  put(`${name}/cat/0.png`, `${name}/dog/1.png`);
  writeAt(root, `${name}/train.csv`, text);
};

describe("folders", () => {
  it("count what is no image, and leave out what systems leave behind", async () => {
    put("a/cat/0.png", "a/cat/1.BMP", "a/cat/2.ppm", "a/cat/3.jfif", "a/dog/0.pgm", "a/dog/x.heic", "a/dog/y.HEIC");
    put("a/dog/sub/z.png", "a/dog/notes.txt", "a/dog/raw", "a/owl/0.avif", "a/list.xlsx");
    put("a/cat/.DS_Store", "a/cat/._0.png", "a/dog/Thumbs.db", "a/__MACOSX/cat/._0.png", "a/.ipynb_checkpoints/0.png");
    const found = await open("a");
    expect(found).toMatchObject({ size: 5, classes: ["cat", "dog", "owl"] });
    expect(found.notices).toEqual([
      `${join(root, "a")}: passed over: 2 .heic, 1 .xlsx (list.xlsx), 1 .txt (dog/notes.txt), 1 without an extension (dog/raw), 1 folders in class folders (dog/sub), 1 .avif (owl/0.avif); left out: 5 hidden or system entries (.ipynb_checkpoints, ...)`,
      `${join(root, "a")}: class owl has no image: its folder has 1 .avif (owl/0.avif); read are png, jpg, webp, gif, tif, bmp, ppm, pgm, pbm`,
    ]);
  });

  it("tell who asked, once a split is open; say nothing where all is read", async () => {
    const told: string[] = [];
    await open("a", { notice: (text) => told.push(text) });
    expect(told).toHaveLength(2);
    put("clean/cat/0.png", "clean/dog/0.png");
    expect((await open("clean")).notices).toEqual([]);
  });

  it("count class folders and images beside a split's folder", async () => {
    put("beside/train/cat/0.png", "beside/train/dog/0.png", "beside/test/0.png", "beside/owl/0.png", "beside/1.png");
    expect((await open("beside")).notices).toEqual([
      `${join(root, "beside/train")}: passed over: 1 folders beside train (owl), 1 images beside train (1.png)`,
    ]);
  });

  it("without an image say what they have", async () => {
    put("heic/cat/0.heic", "heic/cat/1.heic", "heic/dog/0.heic", "heic/read.me");
    await expect(datasetSplits(join(root, "heic"), "image", "x")).rejects.toThrow(
      "found none (there are 3 .heic, 1 .me (read.me)); check the path",
    );
    put("loose/train/0.heic");
    await expect(open("loose")).rejects.toThrow(", found 1 .heic (0.heic)");
  });

  it("of names that are not UTF-8 are refused by name", async () => {
    const bytes = (name: string) => Buffer.concat([Buffer.from(join(root, name)), Buffer.from("caf\xe9", "latin1")]);
    put("old/cat/0.png", "older/cat/0.png");
    // Some file systems have no such names.
    try {
      mkdirSync(bytes("old/"));
      writeFileSync(Buffer.concat([bytes("older/cat/"), Buffer.from(".png")]), "");
      writeFileSync(Buffer.concat([bytes("older/cat/"), Buffer.from(".txt")]), "");
    } catch {
      return;
    }
    for (const [name, what] of [
      ["old", 'old: expected names in UTF-8, found the folder "caf\\xe9" in another encoding'],
      ["older", 'older/cat: expected names in UTF-8, found the file "caf\\xe9.png" in another encoding'],
    ] as const) {
      const error = await open(name).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(DataError);
      expect(String(error)).toContain(what);
    }
    csv("older", "path,label\ncat/café.png,x\n");
    await expect((await open("older")).encoded(0)).rejects.toThrow(
      `${join(root, "older/cat")} has "caf\\xe9.png", a name in another encoding than UTF-8`,
    );
  });
});

describe("CSV files", () => {
  it.each([
    ["semicolons", "path;label\ncat/0.png;cat\ndog/1.png;dog, big\n", ["its columns are parted by semicolons"]],
    ["tabs", "path\tlabel\ncat/0.png\tcat\ndog/1.png\tdog, big\n", ["its columns are parted by tabs"]],
    ["mark", '\ufeffpath,label\ncat/0.png,cat\ndog/1.png,"dog, big"\n', ["it begins with a byte order mark"]],
    [
      "blanks",
      'path, label\ncat/0.png, cat\ndog/1.png, "dog, big"\n',
      ["blanks around its values are no part of them"],
    ],
    [
      "names",
      '"File Name","CATEGORY","n"\ncat/0.png,cat,1\ndog/1.png,"dog, big",2\n',
      [
        "the images are those of column File Name; to take another, set dataset.image_column",
        "the labels are those of column CATEGORY; to take another, set dataset.label_column",
      ],
    ],
  ])("with %s are read, and it is said", async (name, text, notices) => {
    csv(name, text);
    const found = await open(name);
    expect([found.classes, [...(found.labels ?? [])]]).toEqual([
      ["cat", "dog, big"],
      [0, 1],
    ]);
    expect(Buffer.from(await found.encoded(1)).toString()).toBe(`${name}/dog/1.png`);
    expect(found.notices).toHaveLength(notices.length);
    for (const [index, notice] of notices.entries()) expect(found.notices?.[index]).toContain(`train.csv: ${notice}`);
  });

  it("say which columns there are", async () => {
    csv("neither", "image_id,breed\n0,cat\n");
    await expect(open("neither")).rejects.toThrow(
      "train.csv:1: expected a column path, found image_id, breed; set dataset.image_column in suite.yaml",
    );
    csv("both", "file,image,class,target\na,b,c,d\n");
    await expect(open("both")).rejects.toThrow(
      "found file, image, class, target, of which file and image could be meant",
    );
    csv("labl", "path,labl\ncat/0.png,cat\n");
    expect((await open("labl")).unlabelled).toContain(
      "found columns path, labl; is it labl? Then set dataset.label_column in suite.yaml",
    );
  });

  it("with nothing in the column of labels are unlabelled; rows without a split are counted", async () => {
    const rows = "cat/0.png,cat,train\ndog/1.png,,test\ndog/1.png,dog,\n";
    csv("parts", "");
    writeAt(root, "parts/manifest.csv", `path,label,Split\n${rows}`);
    writeAt(root, "parts/train.csv", "path,label\ncat/0.png,\ndog/1.png,\n");
    const test = await open("parts", { split: "test" });
    expect([test.size, test.labels]).toEqual([1, undefined]);
    expect(test.unlabelled).toMatch(
      /manifest\.csv: expected a column of labels \(label\), found nothing in column label$/,
    );
    expect(test.notices).toEqual([
      `${join(root, "parts/manifest.csv")}: passed over: 1 rows with nothing in column Split (the first in line 4)`,
    ]);
    expect((await open("parts")).labels).toBeUndefined();
    expect(await datasetSplits(join(root, "parts"), "image", "x")).toEqual(["train", "test"]);
    await expect(open("parts", { split: "val" })).rejects.toThrow(
      "of split val, found none (its splits are train, test)",
    );
  });

  it("in another encoding are refused with their line", async () => {
    csv("latin", Buffer.from("path,label\ncat/0.png,cat\ndog/1.png,caf\xe9\n", "latin1"));
    await expect(open("latin")).rejects.toThrow(
      "train.csv:3: expected CSV in UTF-8, found dog/1.png,caf\\xe9 in another",
    );
    csv("wide", Buffer.from("\ufeffpath,label\ncat/0.png,cat\n", "utf16le"));
    await expect(open("wide")).rejects.toThrow("train.csv: expected CSV in UTF-8, found UTF-16");
  });

  it("find files whose accents are composed otherwise, and say what is like a missing one", async () => {
    put(`accents/${"é.png".normalize("NFD")}`, "accents/Cat.png");
    writeAt(root, "accents/train.csv", `path,label\n${"é.png".normalize("NFC")},x\ncat.png,y\n`);
    const found = await open("accents");
    expect((await found.encoded(0)).length).toBeGreaterThan(0);
    await expect(found.encoded(1)).rejects.toThrow(`; ${join(root, "accents")} has "Cat.png"`);
  });
});

describe("archives", () => {
  /** Files of one byte each. */
  const tar = (...names: string[]) => {
    const blocks = names.flatMap((name) => {
      const header = Buffer.alloc(512);
      header.write(name, 0, "latin1");
      header.write("00000000001\0", 124);
      header.write("        ", 148);
      header.write("0ustar\0", 156);
      header.write(
        `${header
          .reduce((sum, byte) => sum + byte, 0)
          .toString(8)
          .padStart(6, "0")}\0 `,
        148,
      );
      return [header, Buffer.concat([Buffer.from("1"), Buffer.alloc(511)])];
    });
    return Buffer.concat([...blocks, Buffer.alloc(1024)]);
  };

  it("count what they have beside images and labels", async () => {
    const names = [
      "0.bmp",
      "0.cls",
      "0.json",
      "1.ppm",
      "1.png",
      "1.cls",
      "2.cls",
      "3.heic",
      "3.cls",
      "._4.png",
      "noext",
    ];
    writeAt(root, "tar/train/0.tar", tar(...names));
    writeAt(root, "tar/train/1.tar.gz", "");
    writeAt(root, "tar/train/._0.tar", "");
    writeAt(root, "tar/__MACOSX/0.tar", "");
    const found = await open("tar");
    expect([found.size, [...(found.labels ?? [])]]).toEqual([2, [1, 1]]);
    expect(found.locate(1)).toBe(`${join(root, "tar/train/0.tar")}: 1.png`);
    const [notice] = found.notices ?? [];
    for (const part of [
      "2 .cls without an image before or after",
      "1 .json (0.json)",
      "1 .heic (3.heic)",
      "1 images beside another of the same key (1.ppm)",
      "1 without an extension (noext)",
      "1 .gz (1.tar.gz)",
      "left out: 2 hidden or system entries (._4.png, ...)",
    ])
      expect(notice).toContain(part);
    expect(await datasetSplits(join(root, "tar"), "image", "x")).toEqual(["train"]);
    expect(readFileSync(join(root, "tar/train/0.tar")).length).toBe(1024 * (names.length + 1));
  });

  it("of names that are not UTF-8 are refused by name", async () => {
    writeAt(root, "foreign/train/0.tar", tar("0.png", "caf\xe9.png"));
    await expect(open("foreign")).rejects.toThrow(
      '0.tar: expected names in UTF-8, found the member "caf\ufffd.png" in',
    );
  });
});
