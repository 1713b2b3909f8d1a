/**
 * Parquet as pyarrow and pandas write it (parquet/make.py): every codec, page version and encoding gives the same images and labels, and labels
 * of every type the classes that the same labels in a CSV file give.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { type OpenDatasetOptions, openDataset } from "../../../src/data/dataset.js";
import { decompressLz4, decompressLz4Raw } from "../../../src/data/readers/parquet-lz4.js";
import { temporaryFolder, writeAt } from "../temporary-folder.js";

const root = temporaryFolder();
const files = z
  .record(z.string(), z.base64())
  .parse(JSON.parse(readFileSync(new URL("parquet/files.json", import.meta.url), "utf8")));
const WORDS = ["owl", "cat", "dog", "cat", "owl", "cat"];
const imageOf = (index: number) =>
  Buffer.from([index, 200 + index, 7 * index])
    .toString("hex")
    .repeat(1 + 10 * index);

const put = (name: string, readme?: string): string => {
  const folder = name.replaceAll(/[^\w.]+/g, "-");
  writeAt(root, `${folder}/train-00000-of-00001.parquet`, Buffer.from(files[name] ?? "", "base64"));
  if (readme !== undefined) writeAt(root, `${folder}/README.md`, readme);
  return join(root, folder);
};
const open = (path: string, more: Partial<OpenDatasetOptions> = {}) =>
  openDataset({ kind: "image", path, split: "train", where: "x", ...more });
const named = ({ classes, labels = new Int32Array() }: Awaited<ReturnType<typeof open>>) =>
  [...labels].map((label) => classes?.[label] ?? label);

describe("parquet files of pyarrow", () => {
  const codecs = Object.keys(files).filter((name) => /pages/.test(name));
  it.each(codecs)("%s", async (name) => {
    const found = await open(put(name));
    expect(named(found)).toEqual(WORDS);
    for (let index = 0; index < 6; index++)
      expect(Buffer.from(await found.encoded(index)).toString("hex")).toBe(imageOf(index));
  });
  it("are 28: seven codecs, two page versions, with and without a dictionary", () => expect(codecs).toHaveLength(28));
});

describe("labels in parquet", () => {
  const texts = ["string", "large_string", "string_view", "binary", "dictionary", "dictionary of large_string"];
  it.each([...texts.map((type) => `label ${type}`), "pandas categorical, bytes"])("%s: as in a CSV", async (name) => {
    const path = put(name);
    const rows = WORDS.map((word, index) => `${index}.png,${word}\n`).join("");
    writeAt(root, `csv/train.csv`, `path,label\n${rows}`);
    const [found, csv] = [await open(path), await open(join(root, "csv"))];
    expect(found.classes).toEqual(["cat", "dog", "owl"]);
    expect([found.classes, [...(found.labels ?? [])]]).toEqual([csv.classes, [...(csv.labels ?? [])]]);
    expect(named(await open(path, { classes: ["owl", "bird", "cat", "dog"] }))).toEqual(WORDS);
  });

  const widths = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"];
  it.each([...widths, "float16", "float32", "float64"])("%s: numbers of classes", async (type) => {
    const found = await open(put(`label ${type}`));
    expect(found.classes).toBeUndefined();
    expect([...(found.labels ?? [])]).toEqual([2, 0, 1, 0, 2, 0]);
  });

  it("bool: 0 and 1", async () => {
    expect([...((await open(put("label bool"))).labels ?? [])]).toEqual([1, 0, 1, 0, 1, 0]);
  });

  it.each(["all null", "all NaN", "empty text"])("%s: none, and it says so", async (type) => {
    const found = await open(put(`label ${type}`));
    expect(found.labels).toBeUndefined();
    expect(found.unlabelled).toMatch(/expected a column of labels \(label\), found none in any row of column label$/);
  });

  it.each([
    ["some null", "row 5, column label: expected a class number >= 0, found no label although other rows have one"],
    ["half", "row 0, column label: expected a class number >= 0, found 2.5"],
    ["list", "row 0, column label: expected a class number or the name of a class, found a value of another type"],
  ])("%s: refused", async (type, message) => {
    await expect(open(put(`label ${type}`))).rejects.toThrow(message);
  });

  it("take the order of the names in the metadata, else of those in README.md", async () => {
    expect((await open(put("texts with names in the metadata"))).classes).toEqual(["owl", "dog", "cat"]);
    const names = "names:\n          '1': owl\n          '0': dog\n          '2': cat\n";
    const readme = `---\ndataset_info:\n  features:\n  - name: image\n    dtype: image\n  - name: label\n    dtype:\n      class_label:\n        ${names}---\n`;
    const found = await open(put("label string", readme));
    expect([found.classes, named(found)]).toEqual([["dog", "owl", "cat"], WORDS]);
    const path = put("label int8", readme);
    expect((await open(path)).classes).toEqual(["dog", "owl", "cat"]);
    // A suite that names its classes means the numbers as its own: as before.
    expect([...((await open(path, { classes: ["a", "b", "c"] })).labels ?? [])]).toEqual([2, 0, 1, 0, 2, 0]);
  });
});

describe("columns", () => {
  it.each(["Image", " image", "image_file", "Photo"])("%j is taken for the images, and said", async (column) => {
    const found = await open(put(`column ${column}`));
    expect(named(found)).toEqual(WORDS);
    expect(Buffer.from(await found.encoded(2)).toString("hex")).toBe(imageOf(2));
    expect(found.notices).toHaveLength(2);
    expect(found.notices?.[0]).toContain(
      `the images are those of column ${column === " image" ? '" image"' : column}; to take another, set dataset.image_column in suite.yaml`,
    );
    expect(found.notices?.[1]).toContain(
      "the labels are those of column Class; to take another, set dataset.label_column in suite.yaml",
    );
  });

  it("of which several could be the labels are none, and named", async () => {
    const found = await open(put("columns class and target"));
    expect(found.labels).toBeUndefined();
    expect(found.unlabelled).toContain("found columns image, class, target, of which class and target could be meant");
  });
});

describe("LZ4", () => {
  /** "abc" eleven times, by pyarrow's lz4_raw. */
  const block = Buffer.from("3f616263030006506263616263", "hex");
  const text = Buffer.from("abc".repeat(11));
  const frame = (becomes: number, bytes: Uint8Array) => {
    const header = Buffer.alloc(8);
    header.writeUInt32BE(becomes, 0);
    header.writeUInt32BE(bytes.length, 4);
    return Buffer.concat([header, bytes]);
  };

  it("reads bare blocks, Hadoop's frames, and blocks of nothing", () => {
    for (const read of [decompressLz4, decompressLz4Raw]) {
      expect(Buffer.from(read(block, 33))).toEqual(text);
      expect(read(Buffer.from([0]), 0)).toHaveLength(0);
    }
    const frames = Buffer.concat([frame(33, block), frame(33, block)]);
    expect(Buffer.from(decompressLz4(frames, 66))).toEqual(Buffer.concat([text, text]));
  });

  it.each([
    [block.subarray(0, 9), 33, "ends after|cut off"],
    [block, 34, "an LZ4 block of 34 bytes ends after 33"],
    [block, 20, "an LZ4 block becomes more than 20 bytes"],
    [Buffer.from([0x10, 65, 9, 0]), 20, "an LZ4 block refers to 9 bytes before, of 1"],
    [Buffer.from([0xf0, 255]), 2 ** 20, "an LZ4 block is cut off"],
  ])("refuses a damaged block %#", (bytes, length, message) => {
    for (const read of [decompressLz4, decompressLz4Raw])
      expect(() => read(bytes, length)).toThrow(new RegExp(message));
  });
});
