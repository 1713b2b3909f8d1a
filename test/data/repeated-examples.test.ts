/** The same image twice: never in two parts of a split, nor in two of the splits that `init` divides a collection into. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { type OpenDatasetOptions, openDataset } from "../../src/data/dataset.js";
import { pixelCacheKey } from "../../src/data/image/pixel-cache.js";
import { parsePreprocessing } from "../../src/data/image/preprocessing.js";
import { firstsByBytes, firstsByContent, keptTogether } from "../../src/data/repeated-examples.js";
import { lookAtExamples } from "../../src/run/init/example-sources.js";
import { plainPng, temporaryFolder, writeAt } from "./temporary-folder.js";

const root = temporaryFolder();
const open = (name: string, more: Partial<OpenDatasetOptions> = {}) =>
  openDataset({ kind: "image", path: join(root, name), split: "train", where: "x", ...more });

/** The same pixels in other bytes. */
const asBmp = (value: number) => {
  const bmp = Buffer.alloc(54 + 48, value);
  bmp.fill(0, 0, 54);
  bmp.write("BM");
  for (const [at, number] of [
    [10, 54],
    [14, 40],
    [18, 4],
    [22, 4],
  ] as const)
    bmp.writeUInt32LE(number, at);
  bmp.writeUInt16LE(1, 26);
  bmp.writeUInt16LE(24, 28);
  return bmp;
};

async function put(folder: string, images: readonly (readonly [string, number])[]): Promise<void> {
  for (const [name, value] of images)
    writeAt(root, `${folder}/${name}`, name.endsWith(".bmp") ? asBmp(value) : await plainPng(value));
}

describe("images that repeat others", () => {
  it("are found by bytes, and by pixels", async () => {
    await put("some/train", [
      ["a.png", 1],
      ["b.bmp", 1],
      ["c.png", 2],
      ["d.png", 1],
      ["e.bmp", 2],
      ["f.bmp", 1],
    ]);
    const dataset = await open("some");
    expect([...(await firstsByBytes(dataset))]).toEqual([0, 1, 2, 0, 4, 1]);
    expect([...(await firstsByContent(dataset))]).toEqual([0, 0, 2, 0, 2, 0]);
  });

  it("go with the first of them into a part of a split", async () => {
    const images = [0, 1, 2, 0, 4, 1, 6].map((value, index) => [`${index}.png`, value] as const);
    await put("parts/train", images);
    const parts = await Promise.all([false, true].map((except) => open("parts", { part: { every: 3, except } })));
    const names = parts.map(({ files }) => files?.map((file) => file.slice(-5)));
    expect(names).toEqual([
      ["0.png", "3.png", "6.png"],
      ["1.png", "2.png", "4.png", "5.png"],
    ]);
    expect(parts[0]?.notices).toEqual([
      "parts, split train: 2 of 7 images are the same as one before: they stay in one split",
    ]);
    // Without repeats the parts are what they were.
    await put(
      "plain/train",
      [0, 1, 2, 3].map((value) => [`${value}.png`, value] as const),
    );
    expect((await open("plain", { part: { every: 2, except: true } })).files).toHaveLength(2);
  });

  it("stay in one split of a collection that init divides, whatever their class, format and row", async () => {
    const images = Array.from(
      { length: 40 },
      (_, index) => [`${index % 2 ? "dog" : "cat"}/${index}.png`, 3 * index] as const,
    );
    await put("all", images);
    await put("all", [
      ["cat/again.png", 0],
      ["cat/again.bmp", 6],
      ["dog/again.bmp", 12],
      ["dog/once more.png", 9],
    ]);
    const rows = [
      ...images.map(([name]) => name),
      "cat/0.png",
      "cat/again.png",
      "cat/again.bmp",
      "dog/again.bmp",
      "dog/once more.png",
    ];
    writeAt(root, "all/all.csv", `path,label\n${rows.map((name) => `${name},${name.slice(0, 3)}\n`).join("")}`);
    const source = await lookAtExamples(
      { name: "pets", path: join(root, "all/all.csv"), flag: "--images" },
      "image",
      true,
    );
    const splitsOf = (...names: string[]) =>
      new Set(
        source.manifest
          ?.filter(({ example }) => names.some((name) => example.endsWith(name)))
          .map(({ split }) => split),
      );
    for (const same of [
      ["cat/0.png", "cat/again.png"],
      ["cat/2.png", "cat/again.bmp"],
      ["cat/4.png", "dog/again.bmp"],
      ["dog/3.png", "dog/once more.png"],
    ])
      expect(splitsOf(...same).size).toBe(1);
    expect(source.manifest).toHaveLength(45);
    expect(splitsOf(".png").size).toBe(4);
    expect(source.notices).toEqual([
      `${join(root, "all")}: 5 of 45 images are the same as one before; 1 of them with another label: they stay in one split`,
    ]);
  });
});

describe("labels in one split only", () => {
  const sourceOf = (name: string, needsHead: boolean) =>
    lookAtExamples({ name: "pets", path: join(root, name), flag: "--images" }, "image", needsHead);
  const labelled = (split: string) => ["cat", "dog"].map((label, index) => [`${split}/${label}/0.png`, index] as const);
  const unlabelled = (split: string) => [0, 1].map((index) => [`${split}/${index}.png`, 9 + index] as const);

  it("make the head; the others are learned from, and judged where they have labels", async () => {
    await put("train-only", [...labelled("train"), ...unlabelled("test")]);
    expect(await sourceOf("train-only", true)).toMatchObject({
      splits: new Map([
        ["head", "train"],
        ["adapt", "test"],
      ]),
      headSplit: "head",
      isJudged: false,
      classes: ["cat", "dog"],
      assumed: `pets: its own splits: head is its train, adapt is its test; its split test has no labels: ${join(root, "train-only/test")}: expected a folder per class, found none; no accuracy is measured`,
    });
    expect((await sourceOf("train-only", false)).splits).toEqual(
      new Map([
        ["adapt", "train"],
        ["test", "test"],
      ]),
    );
    await put("val-too", [...labelled("train"), ...labelled("val"), ...unlabelled("test")]);
    expect(await sourceOf("val-too", true)).toMatchObject({
      splits: new Map([
        ["head", "train"],
        ["adapt", "test"],
        ["test", "val"],
      ]),
      isJudged: true,
    });
    await put("test-only", [...unlabelled("train"), ...labelled("test")]);
    expect(await sourceOf("test-only", true)).toMatchObject({ headSplit: "test", isJudged: true });
  });

  it("work in CSV files, and are named where no split has any", async () => {
    await put("csvs", [
      ["0.png", 0],
      ["1.png", 1],
    ]);
    writeAt(root, "csvs/train.csv", "path,label\n0.png,cat\n1.png,dog\n");
    writeAt(root, "csvs/test.csv", "path,id\n0.png,7\n");
    expect(await sourceOf("csvs", true)).toMatchObject({
      headSplit: "head",
      counts: new Map([
        ["head", 2],
        ["adapt", 1],
      ]),
    });
    await put("none", [...unlabelled("train"), ...unlabelled("test")]);
    await expect(sourceOf("none", true)).rejects.toThrow(
      /the expert pets has no head, found none \(its split train has no labels: .*\/none\/train: expected a folder per class, found none; its split test has no labels: /,
    );
  });

  it("say what the folder of an empty class has", async () => {
    await put("empty", [
      ["cat/0.png", 0],
      ["dog/0.png", 1],
    ]);
    for (const name of ["0.heic", "1.heic"]) writeAt(root, `empty/owl/${name}`, "");
    await expect(sourceOf("empty", true)).rejects.toThrow(
      "--images pets: expected an image of every class, found none of owl (its folder has 2 .heic; read are png,",
    );
  });
});

describe("the cache of pixels", () => {
  it("has other keys for images that are turned, and the old ones for all others", async () => {
    const cases: { name: string; encoded: string }[] = JSON.parse(
      readFileSync(new URL("image/formats/images.json", import.meta.url), "utf8"),
    );
    const jpeg = (orientation: number) =>
      Buffer.from(cases.find(({ name }) => name === `orientation ${orientation}: jpeg`)?.encoded ?? "", "base64");
    const config = parsePreprocessing({ size: { width: 4, height: 4 }, do_normalize: false }, "p.json");
    const keyOf = async (orientation: number, exifOrientation?: "ignore") => {
      writeAt(root, "turned/train/0.jpg", jpeg(orientation));
      return pixelCacheKey(await open("turned", { exifOrientation }), config, 1);
    };
    expect(await keyOf(1)).toBe(await keyOf(1, "ignore"));
    expect(await keyOf(6)).not.toBe(await keyOf(6, "ignore"));
    // As the code before images were turned made it.
    writeAt(
      root,
      "turned/train/0.jpg",
      await sharp({ create: { width: 1, height: 1, channels: 3, background: "red" } })
        .png()
        .toBuffer(),
    );
    const plain = { ...(await open("turned")), encoded: async () => new Uint8Array([1, 2, 3]) };
    expect(await pixelCacheKey(plain, config, 1)).toBe(
      "8954754c7c7ff500e452018e4e86337a44ffc0d30a39820fc7d42b0c8421c661",
    );
  });
});

describe("texts that nearly repeat others", () => {
  const NEAR = "the second part of a long sentence about the weather";
  /** The texts in a table, with a class each. */
  const table = (name: string, texts: readonly string[]) => {
    writeAt(root, `${name}/train.csv`, `text,label\n${texts.map((text, row) => `${text},c${row % 2}\n`).join("")}`);
    return openDataset({ kind: "text", path: join(root, name), split: "train", where: "x" });
  };
  const others = Array.from({ length: 40 }, (_, index) => `number ${index} has w${index} and v${3 * index} of its own`);

  it("stay together, directly or through others, and are counted", async () => {
    const dataset = await table("near", [`Now ${NEAR}!`, ...others, NEAR, `${NEAR} today`, NEAR.toUpperCase()]);
    const { firsts, notices } = await keptTogether(dataset, "near");
    expect([...firsts]).toEqual([0, ...others.map((_, index) => index + 1), 0, 0, 0]);
    expect(notices).toEqual(["near: 3 of 44 texts are nearly the same as one before: they stay in one split"]);
  });

  it("are different where a template makes many of them", async () => {
    const templated = Array.from({ length: 12 }, (_, index) => `${NEAR} in town${index}`);
    const dataset = await table("template", [...templated, NEAR, NEAR, ...others]);
    const { firsts, notices } = await keptTogether(dataset, "template");
    expect([...firsts].map((first, index) => index - first).filter((apart) => apart !== 0)).toEqual([1]);
    expect(notices).toEqual([
      "template: 1 of 54 texts are the same as one before; 1 of them with another label: they stay in one split",
      "template: 12 of 54 texts are nearly the same as one before, so many of them alike that they are divided as different",
    ]);
  });

  it("are read once for their bytes and once for their words, equal ones for their bytes alone", async () => {
    const dataset = await table("counted", [NEAR, NEAR, `${NEAR} today`, ...others]);
    let reads = 0;
    const counted = { ...dataset, encoded: (index: number) => dataset.encoded(index).finally(() => reads++) };
    const { firsts } = await keptTogether(counted, "counted");
    expect([...firsts].slice(0, 3)).toEqual([0, 0, 0]);
    expect(reads).toBe(2 * dataset.size - 1);
  });

  it("are not searched for in images", async () => {
    await put("pictures/train", [
      ["a.png", 1],
      ["b.png", 2],
    ]);
    expect(await keptTogether(await open("pictures"), "pictures")).toEqual({
      firsts: Int32Array.of(0, 1),
      notices: [],
    });
  });
});
