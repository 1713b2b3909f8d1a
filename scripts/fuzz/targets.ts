/** What can be fuzzed: small valid files to start from, how one is read whole, and what memory a case may take. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import sharp from "sharp";
import { openDataset } from "../../dist/data/dataset.js";
import { decodeImage } from "../../dist/data/image/decode-image.js";
import { CheckpointError } from "../../dist/errors.js";
import type { Rng } from "../../dist/internal.js";
import { openCheckpoint } from "../../dist/internal.js";
import { parseBoundedJson } from "../../dist/runtime/bounded-json.js";
import { mutateBytes, mutateText } from "./mutations.js";

export interface Target {
  /** Contents of small valid files; `folder` may be used to make them. */
  seeds(folder: string): Promise<readonly Uint8Array[]>;
  /** Reads a file with that content, all of it. `folder` is the case's own. */
  read(content: Uint8Array, folder: string): Promise<void>;
  mutate?(one: Uint8Array, other: Uint8Array, rng: Rng): Uint8Array;
  readonly mostGrownBytes: number;
}

/** Images of at most 180 million pixels: RGB and RGBA of one, and what libvips holds of it meanwhile. */
const IMAGE_BYTES = 2.5e9;
/** The allowance of a small parquet file for buffers and for lists, and as much for what is made of them. */
const PARQUET_BYTES = 1e9;
const SMALL_BYTES = 128e6;
const FIXTURES = join(import.meta.dirname, "..", "..", "test");

export const TARGETS: ReadonlyMap<string, Target> = new Map<string, Target>([
  [
    "parquet",
    {
      seeds: async () => [
        ...["SNAPPY", "GZIP", "UNCOMPRESSED"].flatMap((codec) => [parquetOf(codec, true), parquetOf(codec, false)]),
      ],
      read: (content, folder) => readDataset(folder, "test.parquet", content),
      mutate: mutateInside,
      mostGrownBytes: PARQUET_BYTES,
    },
  ],
  [
    "tar",
    {
      seeds: () =>
        Promise.all(
          ["gnu/0.tar", "pax/0.tar", "ustar/0.tar"].map((name) => readFile(join(FIXTURES, "data", "webdataset", name))),
        ),
      read: (content, folder) => readDataset(folder, join("test", "0.tar"), content),
      mutate: mutateTar,
      mostGrownBytes: SMALL_BYTES,
    },
  ],
  [
    "images",
    {
      seeds: imageSeeds,
      read: async (content) => void (await decodeImage(content, "case")),
      mutate: mutateInside,
      mostGrownBytes: IMAGE_BYTES,
    },
  ],
  [
    "pytorch",
    {
      seeds: async () => [
        await readFile(join(FIXTURES, "golden", "torch", "sharded", "pytorch_model-00001-of-00002.bin")),
      ],
      read: (content, folder) => readModel(join(folder, "model.pt"), content),
      mostGrownBytes: SMALL_BYTES,
    },
  ],
  [
    "json",
    {
      seeds: async () => [
        Buffer.from(
          '{"model_type": "clip", "list": [1, 2.5e3, true, null, {"a": ["x", "\\u00e9"]}], "deep": [[[[]]]]}',
        ),
      ],
      read: async (content) => {
        try {
          JSON.stringify(parseBoundedJson(Buffer.from(content).toString("utf8")));
        } catch (error) {
          if (error instanceof SyntaxError) throw new CheckpointError("no JSON");
          throw error;
        }
      },
      mutate: (one, _, rng) => Buffer.from(mutateText(Buffer.from(one).toString("utf8"), rng)),
      mostGrownBytes: SMALL_BYTES,
    },
  ],
]);

async function readDataset(folder: string, name: string, content: Uint8Array): Promise<void> {
  const path = join(folder, "data");
  await rm(path, { recursive: true, force: true });
  await mkdir(join(path, "test"), { recursive: true });
  if (!name.includes("/")) await rm(join(path, "test"), { recursive: true });
  await writeFile(join(path, name), content);
  const dataset = await openDataset({ kind: "image", path, split: "test", where: "fuzz" });
  for (let index = 0; index < dataset.size; index++) await dataset.encoded(index);
}

async function readModel(path: string, content: Uint8Array): Promise<void> {
  await writeFile(path, content);
  const checkpoint = await openCheckpoint(path);
  await checkpoint.tensorSha256s([...checkpoint.tensors.keys()]);
}

/** As the hub writes them: images as structs, integer labels, names in the metadata. */
function parquetOf(codec: string, isStruct: boolean): Uint8Array {
  const rows = Array.from({ length: 12 }, (_, index) => new Uint8Array(40 + index).fill(index * 7));
  const features = { image: { _type: "Image" }, label: { _type: "ClassLabel", names: ["a", "b", "c"] } };
  const image = isStruct
    ? { name: "image", data: rows.map((bytes, index) => ({ bytes, path: `${index}.png` })) }
    : { name: "image", data: rows, type: "BYTE_ARRAY" as const };
  const leaves = [
    { name: "bytes", type: "BYTE_ARRAY" as const, repetition_type: "OPTIONAL" as const },
    {
      name: "path",
      type: "BYTE_ARRAY" as const,
      converted_type: "UTF8" as const,
      repetition_type: "OPTIONAL" as const,
    },
  ];
  const schema = isStruct
    ? {
        schema: [
          { name: "root", num_children: 2 },
          { name: "image", num_children: 2, repetition_type: "OPTIONAL" as const },
          ...leaves,
          { name: "label", type: "INT64" as const, repetition_type: "OPTIONAL" as const },
        ],
      }
    : {};
  const buffer = parquetWriteBuffer({
    columnData: [image, { name: "label", data: rows.map((_, index) => BigInt(index % 3)) }],
    rowGroupSize: 5,
    codec: codec as "SNAPPY",
    compressors: { GZIP: (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes)) },
    kvMetadata: [{ key: "huggingface", value: JSON.stringify({ info: { features } }) }],
    ...schema,
  });
  return new Uint8Array(buffer);
}

async function imageSeeds(): Promise<readonly Uint8Array[]> {
  const seeds: Uint8Array[] = [];
  for (const channels of [1, 3, 4] as const) {
    const data = Buffer.from(Array.from({ length: 24 * 17 * channels }, (_, index) => (index * 37) % 256));
    const image = sharp(data, { raw: { width: 24, height: 17, channels } });
    seeds.push(
      await image.clone().png().toBuffer(),
      await image.clone().png({ palette: true, progressive: true }).toBuffer(),
      await image.clone().jpeg().toBuffer(),
      await image.clone().jpeg({ progressive: true }).toBuffer(),
      await image.clone().webp().toBuffer(),
      await image.clone().webp({ lossless: true }).toBuffer(),
      await image.clone().gif().toBuffer(),
      ...(await Promise.all(
        (["none", "lzw", "deflate", "jpeg", "packbits"] as const).map((compression) =>
          image
            .clone()
            .tiff({ compression, tile: compression === "lzw", tileWidth: 16, tileHeight: 16 })
            .toBuffer(),
        ),
      )),
    );
  }
  const samples = Array.from({ length: 24 * 17 * 3 }, (_, index) => (index * 37) % 256);
  seeds.push(
    Buffer.concat([Buffer.from("P6\n24 17\n255\n"), Buffer.from(samples)]),
    Buffer.concat([Buffer.from("P5\n# grey\n24 17\n255\n"), Buffer.from(samples.slice(0, 24 * 17))]),
    Buffer.from(`P2 24 17 255 ${samples.slice(0, 24 * 17).join(" ")}\n`),
    bitmapOf(24, Buffer.from(samples)),
    bitmapOf(8, Buffer.from(samples.slice(0, 24 * 17))),
  );
  return seeds;
}

/** A BMP of 24 x 17 pixels; rows of both depths are multiples of four bytes. */
function bitmapOf(bits: 8 | 24, samples: Uint8Array): Uint8Array {
  const palette = bits === 8 ? Buffer.from(Array.from({ length: 1024 }, (_, index) => index % 256)) : Buffer.alloc(0);
  const header = Buffer.alloc(54);
  header.write("BM");
  header.writeUInt32LE(header.length + palette.length + samples.length, 2);
  header.writeUInt32LE(header.length + palette.length, 10);
  header.writeUInt32LE(40, 14);
  header.writeInt32LE(24, 18);
  header.writeInt32LE(17, 22);
  header.writeUInt16LE(1, 26);
  header.writeUInt16LE(bits, 28);
  return Buffer.concat([header, palette, samples]);
}

/** Bytes at which numbers of any length turn over. */
const EDGES = [0, 1, 0x7f, 0x80, 0xfe, 0xff];

/** Mostly one to three bytes anywhere become others, so that most of the file stays sound; now and then a cut, longer or spliced file. */
function mutateInside(one: Uint8Array, other: Uint8Array, rng: Rng): Uint8Array {
  if (rng.nextInt(8) === 0) return mutateBytes(one, other, rng);
  const changed = Uint8Array.from(one);
  for (let change = 1 + rng.nextInt(3); change > 0; change--)
    changed[rng.nextInt(changed.length)] =
      rng.nextInt(2) === 0 ? (EDGES[rng.nextInt(EDGES.length)] ?? 0) : rng.nextInt(256);
  return changed;
}

const BLOCK = 512;

/** Bytes of any place, or of a header with its sum corrected, so that what is behind the sum is reached. */
function mutateTar(one: Uint8Array, other: Uint8Array, rng: Rng): Uint8Array {
  const changed = Uint8Array.from(mutateInside(one, other, rng));
  if (rng.nextInt(3) === 0) return changed;
  for (let at = 0; at + BLOCK <= changed.length; at += BLOCK) {
    const header = changed.subarray(at, at + BLOCK);
    if (Buffer.from(header.subarray(257, 262)).toString("latin1") !== "ustar") continue;
    if (rng.nextInt(4) === 0) header[124 + rng.nextInt(12)] = 0x20 + rng.nextInt(32);
    header.fill(0x20, 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.set(Buffer.from(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  }
  return changed;
}
