/**
 * Decodes an encoded image (PNG, JPEG, WebP, GIF, TIFF by libvips; BMP, PBM, PGM, PPM by formats/) to 8-bit RGB as Hugging Face datasets and
 * transformers' convert_to_rgb do with Pillow: EXIF orientation is applied unless the data set says otherwise, embedded colour profiles are
 * ignored, what is transparent is laid over white, palettes are expanded, CMYK is converted without a profile, and of an animation the
 * first frame is taken.
 * Older versions of transformers dropped alpha, which shows colours that nobody was meant to see.
 * Differs from Pillow: 16-bit greyscale keeps its high byte; Pillow clips it to white.
 */
import sharp from "sharp";
import { DataError } from "../errors.js";
import { decodeBmp, isBmp } from "./formats/bmp.js";
import { type DecodedImage, MAX_PIXELS } from "./formats/encoded-pixels.js";
import { orientationOf, turned } from "./formats/exif-orientation.js";
import { decodePnm, isPnm } from "./formats/pnm.js";
import type { RgbImage } from "./resample.js";

/** Whether images are turned as their EXIF orientation says, or read as they are stored. */
export type ExifOrientation = "apply" | "ignore";

/** Decodes one image; `where` names it in errors. Throws DataError when the bytes are not a whole, readable image. */
export async function decodeImage(
  encoded: Uint8Array,
  where: string,
  orientation: ExifOrientation = "apply",
): Promise<RgbImage> {
  const misfit = describeNonImage(encoded);
  if (misfit !== undefined) throw new DataError(`${where}: expected an encoded image, found ${misfit}`);
  try {
    const decoder = isBmp(encoded) ? decodeBmp : isPnm(encoded) ? decodePnm : undefined;
    const stored = decoder === undefined ? await decodeWithSharp(encoded) : flattened(decoder(encoded));
    return orientation === "apply" ? turned(stored, orientationOf(encoded)) : stored;
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim().replace(/\s*\n\s*/g, "; ") : String(error);
    throw new DataError(
      `${where}: expected a whole image of at most ${MAX_PIXELS} pixels in a known format, ` +
        `found ${encoded.byteLength} bytes that do not decode (${reason}); replace or remove this image`,
      { cause: error },
    );
  }
}

async function decodeWithSharp(encoded: Uint8Array): Promise<RgbImage> {
  const options = { failOn: "error", ignoreIcc: true, limitInputPixels: MAX_PIXELS } as const;
  const image = sharp(encoded, options);
  const { space } = await image.metadata();
  if (space === "cmyk") image.pipelineColourspace("cmyk").toColourspace("cmyk");
  else image.toColourspace("srgb");
  const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  const pixelsHWC = toRgb(data, info.width * info.height, info.channels, space === "cmyk");
  return { height: info.height, width: info.width, pixelsHWC };
}

function flattened({ width, height, channels, data }: DecodedImage): RgbImage {
  return { height, width, pixelsHWC: toRgb(data, width * height, channels, false) };
}

function toRgb(data: Uint8Array, pixels: number, channels: number, cmyk: boolean): Uint8Array {
  if (channels === 3) return data;
  const rgb = new Uint8Array(pixels * 3);
  // 1 or 2 channels are grey and grey with alpha; 4 are RGB with alpha, or CMYK.
  const step = channels >= 3 ? 1 : 0;
  const hasAlpha = !cmyk && channels % 2 === 0;
  for (let pixel = 0; pixel < pixels; pixel++) {
    const last = data[(pixel + 1) * channels - 1] ?? 0;
    for (let channel = 0; channel < 3; channel++) {
      const value = data[pixel * channels + channel * step] ?? 0;
      rgb[pixel * 3 + channel] = cmyk ? cmykToRgb(value, last) : hasAlpha ? overWhite(value, last) : value;
    }
  }
  return rgb;
}

function cmykToRgb(ink: number, black: number): number {
  const key = 255 - black;
  return Math.max(0, key - multiplyBytes(ink, key));
}

/** Pillow's alpha_composite over an opaque white background, in its integer arithmetic of 7 more bits. */
function overWhite(value: number, alpha: number): number {
  const sum = 128 * (value * alpha + 255 * (255 - alpha)) + (128 << 7);
  return (((sum >> 8) + sum) >> 8) >> 7;
}

/** a * b / 255, rounded: Pillow's MULDIV255, of which its CMYK conversion is made. */
function multiplyBytes(a: number, b: number): number {
  const product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

/** What the bytes are, for the frequent cases of a download gone wrong; undefined when they may be an image. */
function describeNonImage(encoded: Uint8Array): string | undefined {
  if (encoded.byteLength === 0) return "0 bytes; copy or download it again";
  const start = new TextDecoder("latin1").decode(encoded.subarray(0, 64)).trimStart().toLowerCase();
  if (start.startsWith("version https://git-lfs")) return "a git-lfs pointer; run `git lfs pull` in the data set";
  if (start.startsWith("<!doctype html") || start.startsWith("<html"))
    return "an HTML page (an error page saved under this name?); download it again";
  return undefined;
}
