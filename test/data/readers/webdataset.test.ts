/** WebDatasets: archives that Python wrote (webdataset/make.py), whole and damaged. */
import { createHash } from "node:crypto";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { datasetSplits, type OpenDatasetOptions, openDataset } from "../../../src/data/dataset.js";
import { datasetFiles } from "../../../src/data/readers/dataset-files.js";
import { DataError } from "../../../src/errors.js";
import { temporaryFolder } from "../temporary-folder.js";

const FIXTURE = join(import.meta.dirname, "webdataset");
const CLASSES = ["angry", "happy", "sad"];
const expected: Record<string, { name: string; label: number; sha256: string }[]> = JSON.parse(
  readFileSync(join(FIXTURE, "expected.json"), "utf8"),
);
const root = temporaryFolder();
const open = (path: string, split: string, more: Partial<OpenDatasetOptions> = {}) =>
  openDataset({ kind: "image", path, split, classes: CLASSES, where: "task mood", ...more });

/** A copy of the fixture to damage. */
function copy(name: string): string {
  const path = join(root, name);
  cpSync(FIXTURE, path, { recursive: true });
  return path;
}

describe("a WebDataset", () => {
  it.each([
    ["ustar", ["ustar/0.tar"]],
    ["gnu", ["gnu/0.tar"]],
    ["pax", ["pax/0.tar", "pax/2.tar", "pax/10.tar"]],
  ])(
    "in the format %s has the images, labels and names that Python put in, archives in the order of their numbers",
    async (split, archives) => {
      const dataset = await open(FIXTURE, split);
      const samples = archives.flatMap((archive) =>
        (expected[archive] ?? []).map((sample) => ({ archive, ...sample })),
      );
      expect(dataset.size).toBe(samples.length);
      expect([...(dataset.labels ?? [])]).toEqual(samples.map(({ label }) => label));
      expect(dataset.classes).toEqual(CLASSES);
      for (const index of [...samples.keys()].reverse()) {
        const { archive = "", name, sha256 } = samples[index] ?? {};
        expect(
          createHash("sha256")
            .update(await dataset.encoded(index))
            .digest("hex"),
        ).toBe(sha256);
        expect(dataset.locate(index)).toBe(`${join(FIXTURE, archive)}: ${name}`);
      }
      await expect(dataset.encoded(samples.length)).rejects.toThrow(RangeError);
    },
  );

  it("has the splits that its folders are, and says so when asked for another", async () => {
    expect(await datasetSplits(FIXTURE, "image", "x")).toEqual(["gnu", "pax", "ustar"]);
    await expect(open(FIXTURE, "test")).rejects.toThrow(
      `task mood: ${FIXTURE}: expected archives test/*.tar, found the splits gnu, pax, ustar`,
    );
  });

  it("has its labels brought into the head's order by the names beside it", async () => {
    const dataset = await open(FIXTURE, "gnu", { classes: ["sad", "angry", "happy"] });
    expect([...(dataset.labels ?? [])]).toEqual([1, 2, 0, 1]);
    await expect(open(FIXTURE, "gnu", { classes: ["sad", "angry", "happy"], labels: "number" })).rejects.toThrow(
      "expected label 0 to be sad",
    );
  });

  it("needs as many archives as it says it has", async () => {
    const path = copy("short");
    writeFileSync(join(path, "pax", "nshards.txt"), "4\n");
    await expect(open(path, "pax")).rejects.toThrow(
      `task mood: ${join(path, "pax", "nshards.txt")}: expected 4 archives, found 3`,
    );
  });

  it.each([
    ["cut off", (bytes: Buffer) => bytes.subarray(0, 1700), "the archive is cut off"],
    [
      "compressed",
      (bytes: Buffer) => gzipSync(bytes),
      "expected the header of a file in a tar archive, found other bytes",
    ],
    ["damaged in a header", (bytes: Buffer) => bytes.fill(0x41, 600, 610), "byte 512: expected the header of a file"],
    ["empty", () => Buffer.alloc(1024), "expected at least 1 image in 1 archives, found none"],
    [
      "with a label that is none",
      (bytes: Buffer) => Buffer.from(bytes.toString("latin1").replace(/0\n\0/, "x\n\0"), "latin1"),
      's0000001.cls: expected a class number >= 0, found "x"',
    ],
    [
      "with a label missing",
      (bytes: Buffer) => renamed(bytes, "s0000002.cls", "s0000002.xxx"),
      "s0000002.jpg: expected a label (.cls) as other images have, found none",
    ],
  ])("that is %s is refused", async (name, damage, message) => {
    const path = copy(name.replaceAll(" ", "-"));
    const archive = join(path, "ustar", "0.tar");
    writeFileSync(archive, damage(readFileSync(archive)));
    const error = await open(path, "ustar").catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(DataError);
    expect(String(error)).toContain(message);
    expect(String(error)).toContain(join(path, "ustar"));
  });

  /** A file in an archive under another name of the same length, with the header's sum corrected. */
  function renamed(bytes: Buffer, from: string, to: string): Buffer {
    const at = bytes.indexOf(from);
    bytes.write(to, at);
    bytes.write("        ", at + 148);
    const sum = bytes.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
    bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148);
    return bytes;
  }

  it("in a repository on the hub is its archives, their number, and the names of the classes", async () => {
    const names = ["classnames.txt", "README.md", "test/0.tar", "test/1.tar", "test/nshards.txt", "train/0.tar"];
    const choice = await datasetFiles({ config: undefined, splits: ["test"] })(names, async () => Buffer.alloc(0));
    expect([...choice.files].sort()).toEqual(["classnames.txt", "test/0.tar", "test/1.tar", "test/nshards.txt"]);
    expect(choice.absent).toEqual([]);
  });
});
