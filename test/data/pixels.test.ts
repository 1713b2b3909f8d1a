import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { imageBatches, labelledBatch, unlabelledBatch } from "../../src/data/batches.js";
import type { ImageDataset } from "../../src/data/dataset.js";
import { emptyImages, type ImageBlocks, imageAt, imagesOf } from "../../src/data/image-blocks.js";
import { readPixelCache, writePixelCache } from "../../src/data/pixel-cache.js";
import { isLabelled, loadPixels, requireLabels, selectPixels, withoutLabels } from "../../src/data/pixels.js";
import { parsePreprocessing } from "../../src/data/preprocessing.js";
import { batchIndices } from "../../src/data/sampler.js";
import { DataError } from "../../src/errors.js";
import { plainPng, temporaryFolder } from "./temporary-folder.js";

const root = temporaryFolder();
const preprocessing = parsePreprocessing({ size: { height: 4, width: 4 }, do_normalize: false }, "p.json");
const IMAGE_BYTES = 4 * 4 * 3;

/** A data set of one-colour images that counts how often images are read. */
async function dataset(values: readonly number[], labels?: readonly number[]) {
  const images = await Promise.all(values.map((value) => plainPng(value)));
  const reads = { count: 0 };
  const opened: ImageDataset = {
    name: "plain",
    split: "test",
    size: values.length,
    ...(labels === undefined ? {} : { labels: Int32Array.from(labels), classes: ["a", "b"] }),
    encoded: async (index) => {
      reads.count++;
      return images[index] ?? new Uint8Array();
    },
    locate: (index) => `plain: row ${index}`,
  };
  return { opened, reads, images };
}

const colours = (images: Uint8Array | ImageBlocks): (number | undefined)[] =>
  images instanceof Uint8Array
    ? Array.from({ length: images.length / IMAGE_BYTES }, (_, n) => images[n * IMAGE_BYTES])
    : images.blocks.flatMap(colours);

describe("loadPixels", () => {
  it("decodes in order, with and without labels", async () => {
    const values = Array.from({ length: 11 }, (_, index) => index * 20);
    const plain = await loadPixels((await dataset(values)).opened, preprocessing);
    expect(plain).toMatchObject({ name: "plain, split test", size: 11, height: 4, width: 4, channels: 3 });
    expect(colours(plain.pixels)).toEqual(values);
    expect(isLabelled(plain)).toBe(false);
    expect(() => requireLabels(plain, "evaluation")).toThrow("evaluation: plain, split test: expected labels");
    const labelled = await loadPixels((await dataset(values.slice(0, 3), [1, 0, 1])).opened, preprocessing, {
      limit: 2,
    });
    expect(colours(labelled.pixels)).toEqual([0, 20]);
    expect([...requireLabels(labelled, "evaluation").labels]).toEqual([1, 0]);
  });

  it("decodes once and reads the cache afterwards", async () => {
    const cacheDir = join(root, "once");
    const { opened, reads } = await dataset([1, 2, 3], [0, 1, 0]);
    const first = await loadPixels(opened, preprocessing, { cacheDir });
    expect(reads.count).toBe(6);
    const second = await loadPixels(opened, preprocessing, { cacheDir });
    expect(reads.count).toBe(9);
    expect(second).toEqual(first);
    expect(readdirSync(join(cacheDir, "pixels"))).toHaveLength(1);
  });

  it("keeps other images, limits and preprocessings apart, but not other scalings", async () => {
    const cacheDir = join(root, "apart");
    const { opened } = await dataset([1, 2]);
    const files = () => readdirSync(join(cacheDir, "pixels")).length;
    await loadPixels(opened, preprocessing, { cacheDir });
    await loadPixels(opened, { ...preprocessing, mean: [1, 1, 1] }, { cacheDir });
    expect(files()).toBe(1);
    await loadPixels(opened, preprocessing, { cacheDir, limit: 1 });
    await loadPixels(opened, { ...preprocessing, filter: "bilinear" }, { cacheDir });
    await loadPixels((await dataset([1, 3])).opened, preprocessing, { cacheDir });
    expect(files()).toBe(4);
  });

  it.each([
    ["flipped", (bytes: Buffer) => bytes.fill(bytes.readUInt8(5) ^ 1, 5, 6)],
    ["cut", (bytes: Buffer) => bytes.subarray(0, -1)],
    ["emptied", () => Buffer.alloc(0)],
  ])("does not believe a cache file that was %s", async (name, damage) => {
    const cacheDir = join(root, name);
    const { opened } = await dataset([7, 8]);
    await loadPixels(opened, preprocessing, { cacheDir });
    const [file = ""] = readdirSync(join(cacheDir, "pixels"));
    const path = join(cacheDir, "pixels", file);
    writeFileSync(path, damage(readFileSync(path)));
    expect(colours((await loadPixels(opened, preprocessing, { cacheDir })).pixels)).toEqual([7, 8]);
    expect(readFileSync(path).length).toBe(2 * IMAGE_BYTES + 32);
  });

  it("goes on without a cache that cannot be written", async () => {
    const cacheDir = join(root, "a-file");
    writeFileSync(cacheDir, "");
    expect(colours((await loadPixels((await dataset([9])).opened, preprocessing, { cacheDir })).pixels)).toEqual([9]);
  });

  it("names the image that does not decode, and stops", async () => {
    const { opened, images, reads } = await dataset(Array.from({ length: 40 }, (_, index) => index));
    images[2] = Buffer.from("<html>");
    await expect(loadPixels(opened, preprocessing)).rejects.toThrow(
      "plain: row 2: expected an encoded image, found an HTML page",
    );
    expect(reads.count).toBeLessThan(12);
  });

  it("refuses what no memory holds, and a limit of nothing", async () => {
    const { opened } = await dataset([1]);
    const large = { ...opened, size: 500_000 };
    const clip = parsePreprocessing({ size: 224, crop_size: 224, do_normalize: false }, "p.json");
    await expect(loadPixels(large, clip)).rejects.toThrow(
      "expected at most 456522 images of 224 x 224 pixels (64 GiB of memory), found 500000",
    );
    await expect(loadPixels(opened, preprocessing, { limit: 0 })).rejects.toThrow(DataError);
  });
});

describe("images in several blocks", () => {
  /** Five images of one byte each colour, two to a block. */
  const inBlocks = () => {
    const images = emptyImages(5, IMAGE_BYTES, 2 * IMAGE_BYTES + 1);
    for (let index = 0; index < 5; index++) imageAt(images, index).fill(10 + index);
    return images;
  };

  it("are where they belong, and nowhere else", () => {
    const images = inBlocks();
    expect(images.blocks.map(({ length }) => length / IMAGE_BYTES)).toEqual([2, 2, 1]);
    expect(colours(images)).toEqual([10, 11, 12, 13, 14]);
    expect(() => imageAt(images, 5)).toThrow("there is no image 5");
    expect(() => imageAt(images, 6)).toThrow("there is no image 6");
    expect(colours(imageAt(imagesOf(Buffer.concat(images.blocks), IMAGE_BYTES), 3))).toEqual([13]);
  });

  it("are the same file in the cache as in one block", async () => {
    const cacheDir = join(root, "blocks");
    await writePixelCache(cacheDir, "key", inBlocks());
    const whole = await readPixelCache(cacheDir, "key", emptyImages(5, IMAGE_BYTES));
    expect(whole?.blocks).toHaveLength(1);
    expect(whole && colours(whole)).toEqual([10, 11, 12, 13, 14]);
    const again = await readPixelCache(cacheDir, "key", emptyImages(5, IMAGE_BYTES, 3 * IMAGE_BYTES));
    expect(again && colours(again)).toEqual([10, 11, 12, 13, 14]);
    expect(await readPixelCache(cacheDir, "key", emptyImages(4, IMAGE_BYTES))).toBeUndefined();
  });

  it("are gathered and chosen across blocks", () => {
    const store = { name: "x", size: 5, height: 4, width: 4, channels: 3, pixels: inBlocks() } as const;
    const batches = [...imageBatches(store, 3)].map(({ imagesBHWC, valid }) => [valid, colours(imagesBHWC)]);
    expect(batches).toEqual([
      [3, [10, 11, 12]],
      [2, [13, 14, 14]],
    ]);
    expect(colours(selectPixels(store, Uint32Array.of(4, 1)).pixels)).toEqual([14, 11]);
  });
});

describe("batches", () => {
  const place = { seed: 3, task: "plain", step: 1, batchSize: 4 };
  const load = async () =>
    requireLabels(
      await loadPixels((await dataset([10, 11, 12, 13, 14], [0, 1, 0, 1, 1])).opened, preprocessing),
      "test",
    );

  it("hold the images that the sampler names; labels only when asked for", async () => {
    const pixels = await load();
    const indices = [...batchIndices({ ...place, size: 5 })];
    const unlabelled = unlabelledBatch(pixels, place);
    expect(Object.keys(unlabelled)).toEqual(["imagesBHWC", "count"]);
    expect(colours(unlabelled.imagesBHWC)).toEqual(indices.map((index) => 10 + index));
    const labelled = labelledBatch(pixels, place);
    expect(labelled.imagesBHWC).toEqual(unlabelled.imagesBHWC);
    expect([...labelled.labelsB]).toEqual(indices.map((index) => pixels.labels[index]));
    expect(labelled.count).toBe(4);
  });

  it("are copies, so that sending one does not send the split", async () => {
    const { imagesBHWC } = unlabelledBatch(await load(), place);
    expect(imagesBHWC.buffer.byteLength).toBe(4 * IMAGE_BYTES);
  });

  it("of an evaluation go through the split in order, the last one filled up", async () => {
    const batches = [...imageBatches(await load(), 2)];
    expect(batches.map(({ first, valid }) => [first, valid])).toEqual([
      [0, 2],
      [2, 2],
      [4, 1],
    ]);
    expect(batches.map(({ imagesBHWC }) => colours(imagesBHWC))).toEqual([
      [10, 11],
      [12, 13],
      [14, 14],
    ]);
    const [only] = [...imageBatches(await load(), 8)];
    expect([only?.valid, only?.imagesBHWC.length]).toEqual([5, 8 * IMAGE_BYTES]);
  });

  it("of a split without labels cannot leak them", async () => {
    const blind = withoutLabels(await load());
    expect(isLabelled(blind)).toBe(false);
    expect(JSON.stringify(Object.keys(blind))).not.toContain("labels");
    expect(unlabelledBatch(blind, place)).toEqual(unlabelledBatch(await load(), place));
  });
});
