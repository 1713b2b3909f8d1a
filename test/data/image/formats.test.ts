/**
 * Images that formats/ reads or turns, against Pillow to the byte (formats/make.py), and what is refused of them.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { decodeImage } from "../../../src/data/image/decode-image.js";
import { decodeBmp } from "../../../src/data/image/formats/bmp.js";
import { orientationOf } from "../../../src/data/image/formats/exif-orientation.js";
import { decodePnm } from "../../../src/data/image/formats/pnm.js";
import { DataError } from "../../../src/errors.js";

const caseSchema = z.object({
  name: z.string(),
  encoded: z.base64(),
  width: z.number(),
  height: z.number(),
  rgb: z.base64(),
  stored: z.base64().optional(),
});
const cases = z
  .array(caseSchema)
  .parse(JSON.parse(readFileSync(new URL("formats/images.json", import.meta.url), "utf8")));
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "base64"));

const named = (name: string) => bytesOf(cases.find((one) => one.name === name)?.encoded ?? "");

describe("images as Pillow reads them", () => {
  it.each(cases.map((one) => [one.name, one] as const))("%s", async (_, { encoded, width, height, rgb }) => {
    const decoded = await decodeImage(bytesOf(encoded), "x");
    expect([decoded.width, decoded.height]).toEqual([width, height]);
    expect([...decoded.pixelsHWC]).toEqual([...bytesOf(rgb)]);
  });
});

describe("images as they are stored", () => {
  const turned = cases.filter(({ name, stored }) => stored !== undefined && name.startsWith("orientation"));
  it.each(turned.map((one) => [one.name, one] as const))("%s", async (_, { encoded, stored = "" }) => {
    const decoded = await decodeImage(bytesOf(encoded), "x", "ignore");
    expect([decoded.width, decoded.height]).toEqual([7, 5]);
    expect([...decoded.pixelsHWC]).toEqual([...bytesOf(stored)]);
  });
});

describe("damaged images", () => {
  it("refuses every one that is cut off", () => {
    const whole = cases.filter(({ name }) => /^(bmp|P[1-6]) /.test(name) && !/more behind/.test(name));
    expect(whole.length).toBeGreaterThan(80);
    for (const { name, encoded } of whole) {
      const bytes = bytesOf(encoded);
      const decode = name.startsWith("bmp") ? decodeBmp : decodePnm;
      // The last bytes may be white space, fill bytes or the mark of the end; half a text number is a number.
      for (const length of [bytes.length - 12, bytes.length >> 1, 30, 20, 3])
        expect(() => decode(bytes.subarray(0, length)), `${name}, ${length} bytes`).toThrow(Error);
    }
  });

  it.each([
    ["P6 0 5 255 abc", "a size of 0 x 5"],
    ["P6 99999 99999 255 abc", "a size of 99999 x 99999, which is too large"],
    ["P6 7 5 65536 abc", "a largest sample of 65536"],
    ["P6 7 5 0 abc", "a largest sample of 0"],
    ["P5 7 5 255 abc", "3 bytes of pixels, of 35"],
    ["P2 1 1 100 101", "a sample of 101, of at most 100"],
    ["P2 1 1 100 -1", "no number for a sample at byte 11"],
    ["P2 9000 9000 100 1 2 3", "5 characters for 81000000 samples"],
    ["P1 2 1 12", "no bit at byte"],
    ["P6 7", "no height: the file is cut off"],
    ["P6 12345678901 1 255 a", "no number for a width"],
  ])("says what is wrong with %s", async (text, message) => {
    const error = await decodeImage(new TextEncoder().encode(text), "shard: row 3").catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(DataError);
    expect(String(error)).toContain("shard: row 3: expected a whole image");
    expect(String(error)).toContain(`(${message}`);
  });

  it.each([
    [14, 41, "a BMP with a header of 41 bytes"],
    [18, 2 ** 30, "a size of 1073741824 x 5, which is too large"],
    [18, 0, "a size of 0 x 5"],
    [28, 5, "a BMP of 5 bits a pixel"],
    [30, 4, "a BMP of 24 bits a pixel with compression 4"],
    [30, 1, "run lengths of 8 bits in a BMP of 24"],
    [10, 10_000, "pixels at byte 10000 of"],
  ])("says what is wrong with a BMP that has at byte %d the number %d", async (at, value, message) => {
    const bytes = named("bmp 24 bits");
    const view = new DataView(bytes.buffer);
    if (at === 28) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    await expect(decodeImage(bytes, "a.bmp")).rejects.toThrow(message);
  });

  it("takes metadata that cannot be read for none", () => {
    for (const form of ["jpeg", "png", "webp", "tiff"]) {
      const whole = named(`orientation 6: ${form}`);
      expect(orientationOf(whole)).toBe(6);
      for (let length = 0; length < whole.length; length += 3) {
        const cut = orientationOf(whole.subarray(0, length));
        expect([1, 6]).toContain(cut);
      }
    }
  });
});
