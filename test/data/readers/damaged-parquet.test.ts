/**
 * Parquet files that decoding would not get to the end of, or only with all memory: refused by name, in bounded time, by a process that stays free.
 * `parquet/hang.parquet` is a split of ten classes with four bytes changed, over which hyparquet 1.31.5 loops for ever.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { parquetWriteFile } from "hyparquet-writer";
import { expect, test } from "vitest";
import { openDataset } from "../../../src/data/dataset.js";
import { DataError } from "../../../src/errors.js";
import { temporaryFolder } from "../temporary-folder.js";

const root = temporaryFolder();
/** Of a page whose header became longer in a column that did not. */
const KEPT = 300;
const open = (path: string) => openDataset({ kind: "image", path, split: "test", where: "tasks.x" });

function folder(name: string): string {
  const path = join(root, name);
  mkdirSync(path);
  return path;
}

test("a file over which the library loops is refused, while the process goes on", async () => {
  const path = folder("hang");
  copyFileSync(join(import.meta.dirname, "parquet", "hang.parquet"), join(path, "test.parquet"));
  let ticks = 0;
  const timer = setInterval(() => ticks++, 50);
  const failure = await open(path).catch((error: unknown) => error);
  clearInterval(timer);
  expect(failure).toBeInstanceOf(DataError);
  expect(String(failure)).toContain(
    `${join(path, "test.parquet")}: expected a readable parquet file, found: no end after 5 s of work; download it again`,
  );
  expect(ticks).toBeGreaterThan(20);
});

test("what is no regular file is refused before it is opened", async () => {
  const path = folder("fifo");
  execFileSync("mkfifo", [join(path, "test.parquet")]);
  await expect(open(path)).rejects.toThrow(
    `${join(path, "test.parquet")}: expected a parquet file, found a device, pipe or socket`,
  );
});

test.each([
  ["GZIP", gzipSync],
  ["BROTLI", brotliCompressSync],
] as const)("images in pages compressed with %s move between the threads whole", async (codec, compress) => {
  const path = folder(codec);
  const images = Array.from({ length: 50 }, (_, index) => new Uint8Array(1000 + index).fill(index));
  parquetWriteFile({
    filename: join(path, "test.parquet"),
    columnData: [{ name: "image", data: images, type: "BYTE_ARRAY" }],
    codec,
    compressors: { [codec]: (bytes: Uint8Array) => new Uint8Array(compress(bytes)) },
    rowGroupSize: 20,
  });
  const dataset = await open(path);
  for (const index of [49, 0, 19, 20]) expect(new Uint8Array(await dataset.encoded(index))).toEqual(images[index]);
});

test.each([
  [
    "far larger",
    { codec: "GZIP", uncompressedBytes: 2 ** 30, values: 100 },
    "pages that say they are far larger than the file could hold",
  ],
  [
    "of far more values",
    { codec: "UNCOMPRESSED", uncompressedBytes: KEPT, values: 2 ** 30 },
    "pages that say they have far more values than the file has rows",
  ],
] as const)("a page that says that it is %s is refused before the memory is taken", async (name, claims, message) => {
  const path = folder(name);
  const filename = join(path, "test.parquet");
  const data = Array.from({ length: 100 }, (_, index) => new Uint8Array(100).fill(index));
  parquetWriteFile({
    filename,
    columnData: [{ name: "image", data, type: "BYTE_ARRAY", encoding: "PLAIN" }],
    codec: claims.codec,
    compressors: { GZIP: (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes)) },
  });
  claim(filename, claims);
  const peak = process.resourceUsage().maxRSS;
  const failure = await open(path)
    .then(({ encoded }) => encoded(0))
    .catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(DataError);
  expect(String(failure)).toContain(`${filename}: expected a readable parquet file, found: ${message}`);
  expect(process.resourceUsage().maxRSS - peak).toBeLessThan(300_000);
});

/** Changes the header of the first page: type, both sizes, and the number of values at the beginning of what follows. */
function claim(filename: string, claims: { readonly uncompressedBytes: number; readonly values: number }): void {
  const file = readFileSync(filename);
  const parts: Uint8Array[] = [file.subarray(0, 4)];
  let at = 4;
  for (const value of [undefined, claims.uncompressedBytes, KEPT, "struct", claims.values] as const) {
    parts.push(file.subarray(at, at + 1));
    at += 1;
    if (value === "struct") continue;
    const start = at;
    while (((file[at++] ?? 0) & 0x80) !== 0);
    parts.push(value === undefined ? file.subarray(start, at) : zigzag(value));
  }
  writeFileSync(filename, Buffer.concat([...parts, file.subarray(at)]));
}

function zigzag(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt(value) * 2n;
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 0x80);
  return Uint8Array.from([...bytes, Number(rest)]);
}
