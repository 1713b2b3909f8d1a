/** What a label means when the data set names its classes otherwise, how many images there must be, and fixed parts of a split. */
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { parquetWriteFile } from "hyparquet-writer";
import { describe, expect, it } from "vitest";
import { type OpenDatasetOptions, openDataset } from "../../src/data/dataset.js";
import { DataError } from "../../src/errors.js";
import { temporaryFolder } from "./temporary-folder.js";

const root = temporaryFolder();
const HEAD = ["angry", "happy", "sad"];

/** Images of one byte, their index; labels as they are given; class names in the metadata. */
function write(name: string, labels: readonly (number | boolean)[], names?: readonly string[]): string {
  const filename = join(root, name, "train.parquet");
  mkdirSync(dirname(filename), { recursive: true });
  const features = {
    image: { _type: "Image" },
    label: { _type: "ClassLabel", ...(names === undefined ? {} : { names }) },
  };
  const isBoolean = typeof labels[0] === "boolean";
  parquetWriteFile({
    filename,
    columnData: [
      { name: "image", data: labels.map((_, index) => Uint8Array.of(index)), type: "BYTE_ARRAY" },
      { name: "label", data: [...labels], type: isBoolean ? "BOOLEAN" : "INT32" },
    ],
    kvMetadata: [{ key: "huggingface", value: JSON.stringify({ info: { features } }) }],
    rowGroupSize: 4,
  });
  return filename;
}

const open = (name: string, more: Partial<OpenDatasetOptions> = {}) =>
  openDataset({ kind: "image", path: join(root, name), split: "train", classes: HEAD, where: "task mood", ...more });
const labelsOf = async (name: string, more?: Partial<OpenDatasetOptions>) => [
  ...((await open(name, more)).labels ?? []),
];

describe("labels", () => {
  it("are brought into the head's order by name, also where the data set lacks some of the classes", async () => {
    write("permuted", [0, 1, 2, 0], ["sad", "angry", "happy"]);
    expect(await labelsOf("permuted")).toEqual([2, 0, 1, 2]);
    write("fewer", [0, 1], ["sad", "angry"]);
    expect(await labelsOf("fewer")).toEqual([2, 0]);
  });

  it("are told apart by name: another name is an error that says how to go by number", async () => {
    write("others", [0, 1, 2], ["anger", "happy", "sad"]);
    const error = await open("others").catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(DataError);
    expect(String(error)).toContain("task mood: others, split train: expected the head's 3 classes");
    expect(String(error)).toContain("only in the data set: anger; only in the head: angry");
    expect(String(error)).toContain("`labels: number`");
  });

  it("by number take no notice of other names, but of the same names in another order", async () => {
    expect(await labelsOf("others", { labels: "number" })).toEqual([0, 1, 2]);
    expect((await open("others", { labels: "number" })).classes).toEqual(HEAD);
    await expect(open("permuted", { labels: "number" })).rejects.toThrow(
      "task mood: permuted, split train: expected label 0 to be angry (labels are meant by number), found sad",
    );
    write("same", [2, 0], HEAD);
    expect(await labelsOf("same", { labels: "number" })).toEqual([2, 0]);
  });

  it("beyond the head's classes are an error that names task, label and file", async () => {
    const file = write("beyond", [0, 3]);
    await expect(open("beyond")).rejects.toThrow(
      `task mood: ${file}: row 1: expected a label 0 to 2 (3 classes), found 3`,
    );
    await expect(open("beyond", { labels: "number" })).rejects.toThrow(`task mood: ${file}: row 1`);
    write("more", [0], ["anger", "joy", "grief", "fear"]);
    await expect(open("more", { labels: "number" })).rejects.toThrow("expected at most the head's 3 classes, found 4");
  });

  it("may be booleans: false is class 0", async () => {
    write("booleans", [true, false, true]);
    expect(await labelsOf("booleans", { classes: ["no", "yes"] })).toEqual([1, 0, 1]);
  });
});

describe("the number of images", () => {
  it("is checked where it is known", async () => {
    await expect(open("permuted", { size: 4 })).resolves.toMatchObject({ size: 4 });
    await expect(open("permuted", { size: 5 })).rejects.toThrow(
      `task mood: ${join(root, "permuted")}: expected 5 images in split train (\`images\` of the task), found 4`,
    );
  });
});

describe("a part of a split", () => {
  it("is every n-th image, or all others, with their own bytes, labels and places", async () => {
    const file = write(
      "long",
      Array.from({ length: 11 }, (_, index) => index % 3),
    );
    const bytesOf = async (part: OpenDatasetOptions["part"]) => {
      const opened = await open("long", { part, size: 11 });
      const images: number[] = [];
      for (let index = 0; index < opened.size; index++) images.push((await opened.encoded(index))[0] ?? -1);
      expect([...(opened.labels ?? [])]).toEqual(images.map((image) => image % 3));
      expect(opened.locate(1)).toBe(`${file}: row ${images[1]}`);
      return images;
    };
    expect(await bytesOf({ every: 5, except: false })).toEqual([0, 5, 10]);
    expect(await bytesOf({ every: 5, except: true })).toEqual([1, 2, 3, 4, 6, 7, 8, 9]);
  });

  it("of a single image leaves nothing to keep apart", async () => {
    write("one", [0]);
    await expect(open("one", { part: { every: 5, except: true } })).rejects.toThrow("task mood: one, split train");
    await expect(open("one", { part: { every: 5, except: false } })).resolves.toMatchObject({ size: 1 });
  });
});
