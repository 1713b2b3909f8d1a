/** Which bytes reach the decoder: those of the formats that are read. All others are refused by name, whatever their file is called. */
import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { decodeImage } from "../../../src/data/image/decode-image.js";
import { IMAGE_FORMATS, imageFormatOf, isImageExtension } from "../../../src/data/image/image-formats.js";
import { DataError } from "../../../src/errors.js";

const pixels = sharp({ create: { width: 5, height: 4, channels: 3, background: "#204060" } });
const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="30000" height="5000"><rect width="9" height="9"/></svg>';

test.each(["png", "jpeg", "webp", "gif", "tiff"] as const)("%s is read", async (format) => {
  const encoded = await pixels.clone().toFormat(format).toBuffer();
  expect(imageFormatOf(encoded)?.name.toLowerCase()).toBe(format);
  expect(await decodeImage(encoded, "x")).toMatchObject({ width: 5, height: 4 });
});

test("endings are told in any letters", () => {
  expect(["PNG", "jpeg", "Tif", "svg", "avif", "txt", ""].map(isImageExtension)).toEqual([
    ...[true, true, true, false, false, false, false],
  ]);
  for (const { extensions } of IMAGE_FORMATS) expect(extensions).toEqual(extensions.map((name) => name.toLowerCase()));
});

describe("other formats are refused by name", () => {
  const box = (brand: string) => Buffer.concat([Buffer.from([0, 0, 0, 28]), Buffer.from(`ftyp${brand}\0\0\0\0`)]);
  test.each([
    ["an SVG drawing", Buffer.from(svg)],
    ["an SVG drawing", Buffer.from(`<?xml version="1.0"?>\n<!-- drawn -->\n${svg}`)],
    ["an AVIF image", box("avif")],
    ["a HEIF image", box("heic")],
    ["a PDF document", Buffer.from("%PDF-1.7\n")],
    ["gzip-compressed data", Buffer.from([0x1f, 0x8b, 8, 0])],
    ["9 bytes of another form", Buffer.from("something")],
  ])("%s", async (is, bytes) => {
    const failure = await decodeImage(bytes, "cat.png").catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DataError);
    expect(String(failure)).toContain(`cat.png: expected an encoded image, found ${is}`);
    expect(String(failure)).toMatch(/convert it to one of PNG, JPEG, WebP, GIF, TIFF, BMP, PNM/);
  });
});

describe("what an image says of itself is bounded before it is decoded", () => {
  test("pixels", async () => {
    const bomb = png(60_000, 60_000);
    expect(bomb.length).toBeLessThan(200);
    const peak = process.resourceUsage().maxRSS;
    await expect(decodeImage(bomb, "bomb.png")).rejects.toThrow(/bomb\.png: .*at most 178956970 pixels.*pixel limit/s);
    expect(process.resourceUsage().maxRSS - peak).toBeLessThan(50_000);
  });

  test("channels", async () => {
    const raw = { width: 2, height: 2, channels: 3 } as const;
    const tiff = await sharp(Buffer.alloc(12), { raw }).tiff({ compression: "none" }).toBuffer();
    // The directory's entry of SamplesPerPixel (277, a short).
    const at = tiff.indexOf(Buffer.from([0x15, 0x01, 0x03, 0x00]));
    tiff.writeUInt16LE(9000, at + 8);
    await expect(decodeImage(tiff, "deep.tif")).rejects.toThrow(/deep\.tif: /);
  });
});

test("wider pixels are narrowed in their own buffer", async () => {
  const raw = { width: 2, height: 1, channels: 4 } as const;
  const encoded = await sharp(Buffer.from([10, 20, 30, 255, 40, 50, 60, 0]), { raw })
    .png()
    .toBuffer();
  expect([...(await decodeImage(encoded, "x")).pixelsHWC]).toEqual([10, 20, 30, 255, 255, 255]);
});

/** A greyscale PNG whose header says so many pixels, with hardly any data. */
function png(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  const parts = [Buffer.from("\x89PNG\r\n\x1a\n", "latin1")];
  for (const [type, data] of [
    ["IHDR", header],
    ["IDAT", deflateSync(Buffer.alloc(100))],
    ["IEND", Buffer.alloc(0)],
  ] as const) {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc(body));
    parts.push(length, body, sum);
  }
  return Buffer.concat(parts);
}

function crc(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return (sum ^ 0xffffffff) >>> 0;
}
