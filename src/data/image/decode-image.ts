/**
 * Decodes an encoded image (PNG, JPEG, WebP, GIF, TIFF by libvips; BMP, PBM, PGM, PPM by formats/) to 8-bit RGB as Hugging Face datasets and
 * transformers' convert_to_rgb do with Pillow: EXIF orientation is applied unless the data set says otherwise, embedded colour profiles are
 * ignored, what is transparent is laid over white, palettes are expanded, CMYK is converted without a profile, and of an animation the
 * first frame is taken.
 * Older versions of transformers dropped alpha, which shows colours that nobody was meant to see.
 * Differs from Pillow: 16-bit greyscale keeps its high byte; Pillow clips it to white.
 */
import sharp from "sharp";
import { DataError } from "../../errors.js";
import { decodeBmp, isBmp } from "./formats/bmp.js";
import { type DecodedImage, MAX_PIXELS } from "./formats/encoded-pixels.js";
import { orientationOf, turned } from "./formats/exif-orientation.js";
import { decodePnm, isPnm } from "./formats/pnm.js";
import { describeOtherFormat, IMAGE_FORMAT_NAMES, imageFormatOf } from "./image-formats.js";
import type { RgbImage } from "./resample.js";

/** Whether images are turned as their EXIF orientation says, or read as they are stored. */
export type ExifOrientation = "apply" | "ignore";

/** Colours, black and alpha. A TIFF may declare thousands, which no limit on pixels counts. */
const MAX_CHANNELS = 5;
/** Images of more pixels (50 MB as RGB) are decoded one after another, so that one of the largest, not several, is in memory. */
const LARGE_PIXELS = 2 ** 24;
/** No image takes a second; one that is made to take hours is given up. */
const MOST_SECONDS = 60;

/** The end of the last large image that was begun. */
let largeImages: Promise<unknown> = Promise.resolve();

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
  const image = sharp(encoded, options).timeout({ seconds: MOST_SECONDS });
  const { space, width, height, channels } = await image.metadata();
  if (channels > MAX_CHANNELS) throw new Error(`${channels} channels, of ${MAX_CHANNELS} at most`);
  if (space === "cmyk") image.pipelineColourspace("cmyk").toColourspace("cmyk");
  else image.toColourspace("srgb");
  const decode = async (): Promise<RgbImage> => {
    const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
    const pixelsHWC = toRgb(data, info.width * info.height, info.channels, space === "cmyk");
    return { height: info.height, width: info.width, pixelsHWC };
  };
  return await (width * height > LARGE_PIXELS ? inTurn(decode) : decode());
}

function flattened({ width, height, channels, data }: DecodedImage): RgbImage {
  return { height, width, pixelsHWC: toRgb(data, width * height, channels, false) };
}

/** Does the work when all that was given before has ended, well or not. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const result = largeImages.then(work);
  largeImages = result.catch(() => undefined);
  return result;
}

function toRgb(data: Uint8Array, pixels: number, channels: number, cmyk: boolean): Uint8Array {
  if (channels === 3) return data;
  // Of wider pixels the narrower ones are written over those that were read.
  const rgb = channels > 3 ? data : new Uint8Array(pixels * 3);
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
  return rgb.subarray(0, pixels * 3);
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
  if (imageFormatOf(encoded) !== undefined) return undefined;
  const found = describeOtherFormat(encoded) ?? `${encoded.byteLength} bytes of another form`;
  return `${found}; replace or remove it, or convert it to one of ${IMAGE_FORMAT_NAMES}`;
}
