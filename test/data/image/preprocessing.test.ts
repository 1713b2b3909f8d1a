import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { decodeImage } from "../../../src/data/image/decode-image.js";
import { parsePreprocessing, toPixels } from "../../../src/data/image/preprocessing.js";
import { resample } from "../../../src/data/image/resample.js";
import { DataError } from "../../../src/errors.js";
import { readFixture } from "../../conformance/fixture.js";

const folder = new URL("../../golden/resize/", import.meta.url);
const read = (name: string) => readFileSync(new URL(name, folder));

interface Case {
  readonly image: string;
  readonly expected: string;
  readonly config: object;
}

const cases: readonly Case[] = JSON.parse(read("cases.json").toString());

const clipConfig = JSON.parse(
  readFileSync(
    fileURLToPath(new URL("../../conformance/tower-gelu/preprocessor_config.json", import.meta.url)),
    "utf8",
  ),
);

const exact = (width: number, height: number, rest: object = {}) =>
  parsePreprocessing({ size: { width, height }, do_normalize: false, ...rest }, "p.json");

const noise = (height: number, width: number) =>
  Uint8Array.from({ length: height * width * 3 }, (_, index) => (index * 7919 + (index >> 3) * 104729) & 255);

const png = (pixels: Uint8Array, width: number, height: number) =>
  sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();

describe("pixels equal Pillow's, to the byte", () => {
  it.each(cases.map((entry) => ({ ...entry, title: `${entry.image} ${JSON.stringify(entry.config)}` })))(
    "$title",
    async ({ image, expected, config }) => {
      const preprocessing = parsePreprocessing(config, "p.json");
      const wanted = await decodeImage(read(expected), expected);
      expect([wanted.height, wanted.width]).toEqual([preprocessing.height, preprocessing.width]);
      // Pillow alone does not turn images; Hugging Face datasets does (formats.test.ts).
      const stored = await decodeImage(read(image), image, "ignore");
      const pixels = await toPixels(stored, preprocessing, image);
      expect(pixels.length).toBe(wanted.pixelsHWC.length);
      expect(Buffer.from(pixels).equals(Buffer.from(wanted.pixelsHWC))).toBe(true);
    },
  );
});

describe("the processors of ViT, DeiT and DINOv2", () => {
  const exact = { height: 24, width: 24 };
  const files = [
    ["ViT", { size: exact }],
    ["DeiT", { size: 28, crop_size: 24 }],
    ["Bit", { size: { shortest_edge: 28 }, crop_size: exact }],
  ] as const;
  it.each(files)(
    "%s: pixels are those of transformers, to the byte with PIL, to a level with torchvision",
    async (kind, keys) => {
      const fixture = await readFixture("image-encoders/preprocessing.safetensors");
      const preprocessing = parsePreprocessing(
        { image_processor_type: `${kind}ImageProcessorFast`, ...keys },
        "p.json",
      );
      for (const number of [0, 1]) {
        const [height = 0, width = 0] = fixture.shape(`image.${number}`);
        const pixels = await toPixels({ height, width, pixelsHWC: fixture.bytes(`image.${number}`) }, preprocessing);
        expect([...pixels]).toEqual([...fixture.bytes(`${kind}.pil.${number}`)]);
        const torchvision = fixture.bytes(`${kind}.torchvision.${number}`);
        const apart = pixels.reduce((sum, value, index) => sum + Math.abs(value - (torchvision[index] ?? 0)), 0);
        expect(apart / pixels.length).toBeLessThan(1);
      }
    },
  );

  it("have their own defaults", () => {
    const parse = (image_processor_type: string, keys: object = {}) =>
      parsePreprocessing({ image_processor_type, ...keys }, "p.json");
    expect(parse("ViTFeatureExtractor", { crop_size: null })).toEqual({
      ...{ resize: { kind: "exact", height: 224, width: 224 }, crop: undefined, filter: "bilinear" },
      ...{ height: 224, width: 224, rescaleFactor: 1 / 255, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    });
    expect(parse("DeiTImageProcessor", { size: 256 })).toMatchObject({
      ...{ resize: { kind: "exact", height: 256, width: 256 }, filter: "bicubic" },
      crop: { height: 224, width: 224 },
    });
    expect(parse("BitImageProcessor", { size: 256, crop_size: 224 })).toMatchObject({
      resize: { kind: "shortest-edge", edge: 256 },
      mean: [0.48145466, 0.4578275, 0.40821073],
    });
  });

  it("of other models are refused by name, and so are steps that are not known", () => {
    const parse = (keys: object) => () => parsePreprocessing({ size: 8, do_normalize: false, ...keys }, "p.json");
    expect(parse({ image_processor_type: "EfficientNetImageProcessor" })).toThrow(
      /p\.json: image_processor_type: expected one of CLIPImageProcessor, .*found "EfficientNetImageProcessor"/,
    );
    expect(parse({ do_pad: true })).toThrow(/do_pad: expected false, found true/);
    expect(parse({ do_flip_channel_order: true })).toThrow(/do_flip_channel_order: expected false, found true/);
    expect(parse({ do_pad: null })).not.toThrow();
  });
});

describe("toPixels", () => {
  it("takes decoded images and keeps the bytes of one that has the target size", async () => {
    const pixelsHWC = noise(16, 16);
    const preprocessing = parsePreprocessing(clipConfig, "p.json");
    expect(await toPixels({ height: 16, width: 16, pixelsHWC }, preprocessing)).toEqual(pixelsHWC);
    expect(await toPixels(await png(pixelsHWC, 16, 16), preprocessing)).toEqual(pixelsHWC);
  });

  it("keeps the high byte of 16-bit images, grey and RGB", async () => {
    const grey = Uint16Array.of(0x0000, 0x12ff, 0x8000, 0xffff);
    const options = { raw: { width: 2, height: 2, channels: 1 } } as const;
    const encoded = await sharp(grey, options).toColourspace("grey16").png().toBuffer();
    expect((await sharp(encoded).metadata()).depth).toBe("ushort");
    const pixels = await toPixels(encoded, exact(2, 2));
    expect([...pixels]).toEqual([0, 0, 0, 0x12, 0x12, 0x12, 0x80, 0x80, 0x80, 255, 255, 255]);
    const rgb = await sharp(Uint16Array.of(0x1234, 0xabcd, 0xff00), { raw: { width: 1, height: 1, channels: 3 } })
      .toColourspace("rgb16")
      .png()
      .toBuffer();
    expect([...(await toPixels(rgb, exact(1, 1)))]).toEqual([0x12, 0xab, 0xff]);
  });

  it("takes the first frame of an animation", async () => {
    const frame = (value: number) => new Uint8Array(4 * 4 * 3).fill(value);
    const frames = Buffer.concat([frame(0), frame(255)]);
    const gif = await sharp(frames, { raw: { width: 4, height: 8, channels: 3, pageHeight: 4 } })
      .gif()
      .toBuffer();
    expect((await sharp(gif).metadata()).pages).toBe(2);
    expect(await toPixels(gif, exact(4, 4))).toEqual(frame(0));
  });

  it("ignores embedded colour profiles, as Pillow does", async () => {
    const pixels = noise(4, 4);
    const encoded = await sharp(await png(pixels, 4, 4))
      .withIccProfile("p3", { attach: true })
      .png()
      .toBuffer();
    const { data } = await sharp(encoded, { ignoreIcc: true }).raw().toBuffer({ resolveWithObject: true });
    expect(await toPixels(encoded, exact(4, 4))).toEqual(new Uint8Array(data));
  });

  it("resizes very long images without computing what the crop throws away", async () => {
    const image = { height: 10_000, width: 1, pixelsHWC: noise(10_000, 1) };
    const preprocessing = parsePreprocessing({ size: 224, crop_size: 224, do_normalize: false }, "p.json");
    expect((await toPixels(image, preprocessing)).length).toBe(224 * 224 * 3);
  });

  it("computes a window of the resized image as a cut from the whole", () => {
    const image = { height: 31, width: 23, pixelsHWC: noise(31, 23) };
    const size = { height: 17, width: 40 };
    for (const filter of ["nearest", "bilinear", "bicubic"] as const) {
      const whole = resample(image, size, filter, { top: 0, left: 0, ...size });
      const part = resample(image, size, filter, { top: 3, left: 11, height: 9, width: 20 });
      for (let row = 0; row < 9; row++) {
        const from = ((row + 3) * 40 + 11) * 3;
        expect(part.subarray(row * 60, (row + 1) * 60)).toEqual(whole.subarray(from, from + 60));
      }
    }
  });

  it("refuses another size when it must not resize", async () => {
    const preprocessing = exact(4, 4, { do_resize: false });
    await expect(toPixels({ height: 4, width: 5, pixelsHWC: noise(4, 5) }, preprocessing, "a.png")).rejects.toThrow(
      "a.png: expected 4 x 4 pixels because the checkpoint's preprocessing does not resize, found 5 x 4",
    );
  });
});

describe("images that do not decode", () => {
  const decode = (bytes: Uint8Array) => decodeImage(bytes, "shard: row 3");

  it("says what the bytes are instead", async () => {
    await expect(decode(new Uint8Array())).rejects.toThrow("shard: row 3: expected an encoded image, found 0 bytes");
    await expect(decode(Buffer.from("<!DOCTYPE html><html>404"))).rejects.toThrow("found an HTML page");
    await expect(decode(Buffer.from("version https://git-lfs.github.com/spec/v1\n"))).rejects.toThrow("git lfs pull");
    await expect(decode(Buffer.from("not an image at all"))).rejects.toThrow("found 19 bytes of another form");
  });

  it.each(["photo.jpg", "rgb.png", "alpha.webp"])("refuses a truncated %s", async (name) => {
    const whole = read(name);
    const error = await decode(whole.subarray(0, Math.floor(whole.length * 0.6))).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(DataError);
    expect(String(error)).toContain("shard: row 3: expected a whole image");
  });

  it("refuses a decompression bomb by its declared size", async () => {
    const image = await png(noise(1, 1), 1, 1);
    image.writeUInt32BE(60_000, 16);
    image.writeUInt32BE(60_000, 20);
    await expect(decode(image)).rejects.toThrow(DataError);
  });
});

describe("parsePreprocessing", () => {
  it("reads CLIP's file", () => {
    expect(parsePreprocessing(clipConfig, "p.json")).toEqual({
      resize: { kind: "shortest-edge", edge: 16 },
      crop: { height: 16, width: 16 },
      filter: "bicubic",
      height: 16,
      width: 16,
      rescaleFactor: 0.00392156862745098,
      mean: [0.48145466, 0.4578275, 0.40821073],
      std: [0.26862954, 0.26130258, 0.27577711],
    });
  });

  it("reads numbers as sizes: the shortest edge when cropping, else a square", () => {
    const old = { size: 224, crop_size: 200, do_center_crop: true, do_normalize: false, unknown_key: 1 };
    expect(parsePreprocessing(old, "p.json")).toMatchObject({
      resize: { kind: "shortest-edge", edge: 224 },
      width: 200,
    });
    const vit = { size: 224, do_normalize: false, resample: 2 };
    expect(parsePreprocessing(vit, "p.json")).toMatchObject({
      resize: { kind: "exact", height: 224, width: 224 },
      crop: undefined,
      filter: "bilinear",
    });
  });

  it("switches scaling off", () => {
    const plain = exact(4, 4, { do_rescale: false });
    expect([plain.rescaleFactor, plain.mean, plain.std]).toEqual([1, [0, 0, 0], [1, 1, 1]]);
  });

  it.each([
    [{ size: 8, resample: 1, do_normalize: false }, "p.json: resample: expected 0 (nearest), 2 (bilinear) or 3"],
    [{ size: "big" }, "p.json: size: expected a number of pixels (1 to 8192), { shortest_edge }"],
    [{ size: { shortest_edge: 8, longest_edge: 9 }, do_normalize: false }, "without longest_edge"],
    [{ size: 0 }, "p.json: size: expected a number >= 1, found 0"],
    [{ do_normalize: false }, "p.json: size: expected a size because do_resize is not false"],
    [{ size: 8, do_center_crop: true }, "p.json: crop_size: expected a size because do_center_crop is true"],
    [{ size: { shortest_edge: 8 }, do_normalize: false }, "p.json: expected images of one size"],
    [{ size: 8 }, "p.json: image_mean: expected 3 numbers because do_normalize is not false"],
    [{ size: 8, image_mean: [0, 0, 0], image_std: [1, 0, 1] }, "p.json: image_std.1: expected a number > 0, found 0"],
    [[], "p.json: expected a section"],
    [null, "p.json: expected a section"],
  ])("refuses %j", (json, message) => {
    expect(() => parsePreprocessing(json, "p.json")).toThrow(message);
    expect(() => parsePreprocessing(json, "p.json")).toThrow(DataError);
  });
});
