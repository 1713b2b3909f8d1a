import { readdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { exampleBatches, labelledBatch, unlabelledBatch } from "../../../src/data/batches.js";
import type { Dataset } from "../../../src/data/dataset.js";
import { type ExampleStore, isLabelled, requireLabels, withoutLabels } from "../../../src/data/examples.js";
import { loadPixels } from "../../../src/data/image/pixels.js";
import { parsePreprocessing } from "../../../src/data/image/preprocessing.js";
import { batchIndices } from "../../../src/data/sampler.js";
import { DataError } from "../../../src/errors.js";
import { plainPng, temporaryFolder } from "../temporary-folder.js";

const root = temporaryFolder();
const preprocessing = parsePreprocessing({ size: { height: 4, width: 4 }, do_normalize: false }, "p.json");
const IMAGE_BYTES = 4 * 4 * 3;

/** A data set of one-colour images that counts how often images are read. */
async function dataset(values: readonly number[], labels?: readonly number[]) {
  const images = await Promise.all(values.map((value) => plainPng(value)));
  const reads = { count: 0 };
  const opened: Dataset = {
    kind: "image",
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

const colours = (bytes: Uint8Array) =>
  Array.from({ length: bytes.length / IMAGE_BYTES }, (_, n) => bytes[n * IMAGE_BYTES]);

const imagesOf = (inputs: ReadonlyMap<string, ArrayLike<number>>) => Uint8Array.from(inputs.get("images") ?? []);

const coloursOf = (store: ExampleStore) =>
  colours(imagesOf(store.gather(Uint32Array.from({ length: store.size }, (_, index) => index))));

describe("loadPixels", () => {
  it("decodes in order, with and without labels", async () => {
    const values = Array.from({ length: 11 }, (_, index) => index * 20);
    const plain = await loadPixels((await dataset(values)).opened, preprocessing);
    expect(plain).toMatchObject({ name: "plain, split test", size: 11 });
    expect(plain.gather(Uint32Array.of(3)).get("images")).toEqual(new Uint8Array(4 * 4 * 3).fill(60));
    expect(coloursOf(plain)).toEqual(values);
    expect(isLabelled(plain)).toBe(false);
    expect(() => requireLabels(plain, "evaluation")).toThrow("evaluation: plain, split test: expected labels");
    const labelled = await loadPixels((await dataset(values.slice(0, 3), [1, 0, 1])).opened, preprocessing, {
      limit: 2,
    });
    expect(coloursOf(labelled)).toEqual([0, 20]);
    expect([...requireLabels(labelled, "evaluation").labels]).toEqual([1, 0]);
  });

  it("decodes once and reads the cache afterwards", async () => {
    const cacheDir = join(root, "once");
    const { opened, reads } = await dataset([1, 2, 3], [0, 1, 0]);
    const first = await loadPixels(opened, preprocessing, { cacheDir });
    expect(reads.count).toBe(6);
    const second = await loadPixels(opened, preprocessing, { cacheDir });
    expect(reads.count).toBe(9);
    expect(coloursOf(second)).toEqual(coloursOf(first));
    expect(second).toMatchObject({ fingerprint: first.fingerprint, labels: Int32Array.of(0, 1, 0) });
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
    expect(coloursOf(await loadPixels(opened, preprocessing, { cacheDir }))).toEqual([7, 8]);
    expect(readFileSync(path).length).toBe(2 * IMAGE_BYTES + 32);
  });

  it("goes on without a cache that cannot be written", async () => {
    const cacheDir = join(root, "a-file");
    writeFileSync(cacheDir, "");
    expect(coloursOf(await loadPixels((await dataset([9])).opened, preprocessing, { cacheDir }))).toEqual([9]);
  });

  it("names the image that does not decode, and stops", async () => {
    const { opened, images, reads } = await dataset(Array.from({ length: 40 }, (_, index) => index));
    images[2] = Buffer.from("<html>");
    await expect(loadPixels(opened, preprocessing)).rejects.toThrow(
      "plain: row 2: expected an encoded image, found an HTML page",
    );
    expect(reads.count).toBeLessThan(12);
  });

  it("reads images that were deleted meanwhile, and says so of those that were cut", async () => {
    const cacheDir = join(root, "deleted");
    const { opened } = await dataset([4, 5]);
    const store = await loadPixels(opened, preprocessing, { cacheDir });
    const [file = ""] = readdirSync(join(cacheDir, "pixels"));
    const path = join(cacheDir, "pixels", file);
    rmSync(path);
    expect(coloursOf(store)).toEqual([4, 5]);
    const again = await loadPixels(opened, preprocessing, { cacheDir });
    truncateSync(path, IMAGE_BYTES);
    expect(() => coloursOf(again)).toThrow(`${path}: expected the decoded image 1 in the cache`);
  });

  it("makes room: splits that were used longest ago go first", async () => {
    const cacheDir = join(root, "room");
    const fileBytes = IMAGE_BYTES + 32;
    const load = async (value: number) =>
      loadPixels((await dataset([value])).opened, preprocessing, { cacheDir, cacheBytes: 2 * fileBytes });
    const keys = () => new Set(readdirSync(join(cacheDir, "pixels")).map((name) => name.replace(".pixels", "")));
    const [first, second] = [await load(1), await load(2)];
    for (const [{ fingerprint }, seconds] of [
      [first, 100],
      [second, 200],
    ] as const)
      utimesSync(join(cacheDir, "pixels", `${fingerprint}.pixels`), seconds, seconds);
    await load(1);
    const third = await load(3);
    expect(keys()).toEqual(new Set([first.fingerprint, third.fingerprint]));
    expect([first, second, third].map(coloursOf)).toEqual([[1], [2], [3]]);
  });

  it("of two that fill one cache at once both have the images", async () => {
    const cacheDir = join(root, "two");
    const { opened } = await dataset([1, 2, 3]);
    const stores = await Promise.all([1, 2].map(() => loadPixels(opened, preprocessing, { cacheDir })));
    expect(stores.map(coloursOf)).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    expect(readdirSync(join(cacheDir, "pixels"))).toHaveLength(1);
  });

  it("refuses what does not fit into memory without a cache, and a limit of nothing", async () => {
    const { opened } = await dataset([1]);
    const large = { ...opened, size: 1_000_000 };
    const clip = parsePreprocessing({ size: 224, crop_size: 224, do_normalize: false }, "p.json");
    await expect(loadPixels(large, clip)).rejects.toThrow(
      "expected at most 28532 images of 224 x 224 pixels without a cache on disk (4 GiB), found 1000000",
    );
    await expect(loadPixels(opened, preprocessing, { limit: 0 })).rejects.toThrow(DataError);
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
    expect(Object.keys(unlabelled)).toEqual(["inputs", "count"]);
    expect(colours(imagesOf(unlabelled.inputs))).toEqual(indices.map((index) => 10 + index));
    const labelled = labelledBatch(pixels, place);
    expect(labelled.inputs).toEqual(unlabelled.inputs);
    expect([...labelled.labelsB]).toEqual(indices.map((index) => pixels.labels[index]));
    expect(labelled.count).toBe(4);
  });

  it("are copies, so that sending one does not send the split", async () => {
    const images = unlabelledBatch(await load(), place).inputs.get("images");
    expect(images?.buffer.byteLength).toBe(4 * IMAGE_BYTES);
  });

  it("of an evaluation go through the split in order, the last one filled up", async () => {
    const batches = [...exampleBatches(await load(), 2)];
    expect(batches.map(({ indices }) => [...indices])).toEqual([[0, 1], [2, 3], [4]]);
    expect(batches.map(({ inputs }) => colours(imagesOf(inputs)))).toEqual([
      [10, 11],
      [12, 13],
      [14, 14],
    ]);
    const [only] = [...exampleBatches(await load(), 8)];
    expect([only?.indices.length, only?.inputs.get("images")?.length]).toEqual([5, 8 * IMAGE_BYTES]);
  });

  it("of a split without labels cannot leak them", async () => {
    const blind = withoutLabels(await load());
    expect(isLabelled(blind)).toBe(false);
    expect(JSON.stringify(Object.keys(blind))).not.toContain("labels");
    expect(unlabelledBatch(blind, place)).toEqual(unlabelledBatch(await load(), place));
  });
});
