import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { type ColumnSource, parquetWriteFile } from "hyparquet-writer";
import { describe, expect, it } from "vitest";
import { openDataset } from "../../../src/data/dataset.js";
import { temporaryFolder, writeAt } from "../temporary-folder.js";

const root = temporaryFolder();

interface Written {
  readonly images: readonly unknown[];
  readonly labels?: readonly (bigint | null)[];
  readonly names?: readonly string[];
  readonly rowGroupSize?: number;
  readonly imageColumn?: string;
}

const bytes = (...values: number[]) => Uint8Array.from(values);

/** Writes what the hub writes: image {bytes, path}, label int64, and the features in the metadata. */
function write(name: string, { images, labels, names, rowGroupSize = 1000, imageColumn = "image" }: Written): string {
  const filename = join(root, name);
  mkdirSync(dirname(filename), { recursive: true });
  const features = {
    [imageColumn]: { _type: "Image" },
    ...(labels === undefined ? {} : { label: { _type: "ClassLabel", ...(names === undefined ? {} : { names }) } }),
  };
  const columnData: ColumnSource[] = [
    { name: imageColumn, data: images.map((image) => ({ bytes: image, path: "x.png" })) },
  ];
  if (labels !== undefined) columnData.push({ name: "label", data: [...labels] });
  parquetWriteFile({
    filename,
    columnData,
    rowGroupSize,
    kvMetadata: [{ key: "huggingface", value: JSON.stringify({ info: { features } }) }],
    schema: [
      { name: "root", num_children: columnData.length },
      { name: imageColumn, num_children: 2, repetition_type: "OPTIONAL" },
      { name: "bytes", type: "BYTE_ARRAY", repetition_type: "OPTIONAL" },
      { name: "path", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
      ...(labels === undefined ? [] : [{ name: "label", type: "INT64", repetition_type: "OPTIONAL" } as const]),
    ],
  });
  return filename;
}

const open = (name: string, split: string, classes?: readonly string[], parameters?: unknown) =>
  openDataset({ kind: "image", path: join(root, name), split, classes, where: "tasks.x", parameters });

describe("parquet data sets", () => {
  it("reads shards with several row groups, labels and class names", async () => {
    const images = Array.from({ length: 5 }, (_, index) => bytes(index, 200 + index));
    const names = ["cat", "dog"];
    write("pets/data/test-00000-of-00002.parquet", {
      images: images.slice(0, 3),
      labels: [0n, 1n, 1n],
      names,
      rowGroupSize: 2,
    });
    write("pets/data/test-00001-of-00002.parquet", {
      images: images.slice(3),
      labels: [0n, 1n],
      names,
      rowGroupSize: 1,
    });
    write("pets/data/train-00000-of-00001.parquet", { images: images.slice(0, 1), labels: [0n], names });
    const test = await open("pets", "test");
    expect(test).toMatchObject({ name: "pets", split: "test", size: 5, classes: names });
    expect([...(test.labels ?? [])]).toEqual([0, 1, 1, 0, 1]);
    for (const index of [4, 0, 3, 1, 2, 0]) expect(new Uint8Array(await test.encoded(index))).toEqual(images[index]);
    expect(test.locate(4)).toBe(`${join(root, "pets/data/test-00001-of-00002.parquet")}: row 1`);
    await expect(test.encoded(5)).rejects.toThrow(RangeError);
    const swapped = await open("pets", "test", ["dog", "cat"]);
    expect([...(swapped.labels ?? [])]).toEqual([1, 0, 0, 1, 0]);
  });

  it("says which splits there are", async () => {
    await expect(open("pets", "val")).rejects.toThrow(
      "expected parquet files of split val, found the splits test, train",
    );
  });

  it("reads files in the folder itself, unlabelled, with plain binary images", async () => {
    const filename = join(root, "plain/adapt.parquet");
    mkdirSync(dirname(filename));
    parquetWriteFile({
      filename,
      columnData: [{ name: "img", data: [bytes(255, 216), bytes(1)], type: "BYTE_ARRAY" }],
    });
    const plain = await open("plain", "adapt");
    expect("labels" in plain).toBe(false);
    expect(new Uint8Array(await plain.encoded(0))).toEqual(bytes(255, 216));
  });

  it("takes the names of its columns", async () => {
    const filename = join(root, "named/test.parquet");
    mkdirSync(dirname(filename));
    const columnData: ColumnSource[] = [
      { name: "scan", data: [bytes(1)], type: "BYTE_ARRAY" },
      { name: "kind", data: [3], type: "INT32" },
    ];
    parquetWriteFile({ filename, columnData });
    const named = await open("named", "test", undefined, { image_column: "scan", label_column: "kind" });
    expect([...(named.labels ?? [])]).toEqual([3]);
    await expect(open("named", "test")).rejects.toThrow("expected a column of images named image, found scan, kind");
    await expect(open("named", "test", undefined, { image_column: "photo" })).rejects.toThrow(
      "expected a column photo",
    );
    await expect(open("named", "test", undefined, { scan: 1 })).rejects.toThrow("unknown key `scan`");
  });

  it("treats hidden labels (-1 or null) as none, but not a mixture", async () => {
    write("hidden/test.parquet", { images: [bytes(1), bytes(2)], labels: [-1n, null] });
    expect("labels" in (await open("hidden", "test"))).toBe(false);
    const filename = write("partly/test.parquet", { images: [bytes(1), bytes(2)], labels: [1n, null] });
    await expect(open("partly", "test")).rejects.toThrow(
      `${filename}: row 1, column label: expected a class number >= 0, found no label`,
    );
  });

  it("refuses labels out of range", async () => {
    const filename = write("range/test.parquet", { images: [bytes(1), bytes(2)], labels: [0n, 2n], names: ["a", "b"] });
    const message = `tasks.x: ${filename}: row 1: expected a label 0 to 1 (2 classes), found 2`;
    await expect(open("range", "test")).rejects.toThrow(message);
    await expect(open("range", "test", ["a", "b"])).rejects.toThrow(message);
    write("unnamed/test.parquet", { images: [bytes(1)], labels: [7n] });
    expect((await open("unnamed", "test")).classes).toBeUndefined();
    await expect(open("unnamed", "test", ["a", "b"])).rejects.toThrow("found 7");
    write("negative/test.parquet", { images: [bytes(1)], labels: [-5n] });
    await expect(open("negative", "test")).rejects.toThrow(
      "row 0, column label: expected a class number >= 0, found -5",
    );
  });

  it("refuses images that are not embedded", async () => {
    const filename = write("external/test.parquet", { images: [bytes(1), null], labels: [0n, 0n] });
    const external = await open("external", "test");
    await expect(external.encoded(1)).rejects.toThrow(
      `${filename}: row 1, column image: expected the bytes of an image, found none`,
    );
  });

  it("refuses empty splits, missing shards and damaged files", async () => {
    write("empty/test.parquet", { images: [], labels: [] });
    await expect(open("empty", "test")).rejects.toThrow("expected at least 1 row, found an empty split");
    write("half/test-00001-of-00002.parquet", { images: [bytes(1)] });
    await expect(open("half", "test")).rejects.toThrow(
      "expected the shards 0 to 1 once each, found 1 files without shard 0",
    );
    const whole = readFileSync(write("whole/test.parquet", { images: [bytes(1, 2, 3)] }));
    for (const [name, data] of [
      ["cut", whole.subarray(0, whole.length - 3)],
      ["zero", new Uint8Array()],
      ["html", Buffer.from("<html>not found</html>")],
    ] as const) {
      const path = writeAt(root, `${name}/test.parquet`, data);
      await expect(open(name, "test")).rejects.toThrow(`${path}: expected a readable parquet file`);
    }
  });

  it("reads gzip, and names a codec that it cannot read", async () => {
    const codec = (name: string, codec: "GZIP" | "LZO") => {
      const filename = join(root, name, "test.parquet");
      mkdirSync(dirname(filename));
      const data = [bytes(...Array(200).fill(7))];
      const compressors = { GZIP: gzipSync, LZO: (input: Uint8Array) => input.subarray(1) };
      parquetWriteFile({ filename, columnData: [{ name: "image", data, type: "BYTE_ARRAY" }], codec, compressors });
      return filename;
    };
    codec("gzip", "GZIP");
    expect((await (await open("gzip", "test")).encoded(0)).length).toBe(200);
    const path = codec("lzo", "LZO");
    const lzo = await open("lzo", "test");
    await expect(lzo.encoded(0)).rejects.toThrow(`${path}: expected a readable parquet file, found: `);
    await expect(lzo.encoded(0)).rejects.toThrow("LZO");
  });

  it("refuses shards of different columns", async () => {
    write("odd/test-00000-of-00002.parquet", { images: [bytes(1)], labels: [0n] });
    const second = write("odd/test-00001-of-00002.parquet", { images: [bytes(1)] });
    await expect(open("odd", "test")).rejects.toThrow(`${second}: expected a column label, found image`);
  });
});
