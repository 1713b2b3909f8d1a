/**
 * Portable bitmaps, graymaps and pixmaps (P1 to P6: PBM, PGM, PPM), text and binary, with samples of up to 16 bits, as Pillow reads them
 * (PpmImagePlugin.py): samples are scaled to their type's range and rounded; of several images in a file the first is read.
 * Differs from Pillow: a graymap of more than 8 bits keeps its high byte, as 16-bit PNGs do here; Pillow clips it to white.
 * Source of the format: netpbm's pages on pbm, pgm and ppm.
 */
import { checkSize, type DecodedImage, scaleSample } from "./encoded-pixels.js";

const KINDS = new Map([
  ["P1", { channels: 1, isText: true, isBits: true }],
  ["P2", { channels: 1, isText: true, isBits: false }],
  ["P3", { channels: 3, isText: true, isBits: false }],
  ["P4", { channels: 1, isText: false, isBits: true }],
  ["P5", { channels: 1, isText: false, isBits: false }],
  ["P6", { channels: 3, isText: false, isBits: false }],
]);
const MAX_SAMPLE = 65_535;
/** Digits of a number, leading zeros included: Pillow's limit. */
const MAX_DIGITS = 10;
const HASH = 0x23;
const [LF, CR] = [0x0a, 0x0d];

/** "P" and a digit of 1 to 6, then white space: what Pillow and netpbm begin with. */
export function isPnm(encoded: Uint8Array): boolean {
  const [p, digit = 0, space] = encoded;
  return p === 0x50 && digit >= 0x31 && digit <= 0x36 && isSpace(space);
}

/** Throws Error for a file that is cut off, or has other numbers than its format allows. */
export function decodePnm(encoded: Uint8Array): DecodedImage {
  const name = String.fromCharCode(encoded[0] ?? 0, encoded[1] ?? 0);
  const kind = KINDS.get(name);
  if (kind === undefined) throw new Error("no portable pixmap");
  const tokens = new Tokens(encoded, 2);
  const [width, height] = [tokens.number("a width"), tokens.number("a height")];
  checkSize(width, height);
  const most = kind.isBits ? 1 : tokens.number("the largest sample");
  if (most < 1 || most > MAX_SAMPLE) throw new Error(`a largest sample of ${most}`);
  const count = width * height * kind.channels;
  const samples = kind.isText
    ? textSamples(tokens, count, most, kind.isBits)
    : kind.isBits
      ? packedBits(encoded.subarray(tokens.at), width, height)
      : binarySamples(encoded.subarray(tokens.at), count, most);
  return { width, height, channels: 3, data: rgbOf(samples, kind, most, width * height) };
}

/** Bits mean black; grey samples of more than 8 bits keep their high byte. */
function rgbOf(
  samples: Uint16Array,
  { channels, isBits }: { readonly channels: number; readonly isBits: boolean },
  most: number,
  pixels: number,
): Uint8Array {
  const isDeepGrey = channels === 1 && most > 255;
  const byteOf = (sample: number) => {
    if (isBits) return sample === 0 ? 255 : 0;
    return isDeepGrey ? scaleSample(sample, most, MAX_SAMPLE) >> 8 : scaleSample(sample, most, 255);
  };
  const rgb = new Uint8Array(pixels * 3);
  for (let at = 0; at < rgb.length; at++) rgb[at] = byteOf(samples[channels === 3 ? at : Math.floor(at / 3)] ?? 0);
  return rgb;
}

function binarySamples(raster: Uint8Array, count: number, most: number): Uint16Array {
  const bytes = most > 255 ? 2 : 1;
  requireBytes(raster, count * bytes);
  if (bytes === 1) return Uint16Array.from(raster.subarray(0, count));
  const view = new DataView(raster.buffer, raster.byteOffset, raster.byteLength);
  return Uint16Array.from({ length: count }, (_, index) => view.getUint16(2 * index));
}

/** Eight pixels a byte from the highest bit; every row begins a byte. */
function packedBits(raster: Uint8Array, width: number, height: number): Uint16Array {
  const rowBytes = Math.ceil(width / 8);
  requireBytes(raster, rowBytes * height);
  const bits = new Uint16Array(width * height);
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++)
      bits[row * width + column] = ((raster[row * rowBytes + (column >> 3)] ?? 0) >> (7 - (column & 7))) & 1;
  return bits;
}

function textSamples(tokens: Tokens, count: number, most: number, isBits: boolean): Uint16Array {
  // A sample takes at least a character; a declared size of gigabytes is not made room for before.
  if (count > tokens.rest) throw new Error(`${tokens.rest} characters for ${count} samples`);
  const samples = new Uint16Array(count);
  for (let index = 0; index < count; index++) {
    const sample = isBits ? tokens.bit() : tokens.number("a sample");
    if (sample > most) throw new Error(`a sample of ${sample}, of at most ${most}`);
    samples[index] = sample;
  }
  return samples;
}

function requireBytes(raster: Uint8Array, length: number): void {
  if (raster.length < length) throw new Error(`${raster.length} bytes of pixels, of ${length}`);
}

function isSpace(byte: number | undefined): boolean {
  return byte !== undefined && (byte === 0x20 || (byte >= 0x09 && byte <= 0x0d));
}

/** Numbers between white space and comments. */
class Tokens {
  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
  ) {}

  get rest(): number {
    return this.bytes.length - this.at;
  }

  /** Ends behind the one blank after it, where the pixels of a binary file begin. */
  number(what: string): number {
    let digits = "";
    for (;;) {
      const byte = this.next();
      if (byte === undefined || isSpace(byte)) {
        if (digits !== "") return Number(digits);
        if (byte === undefined) throw new Error(`no ${what.replace(/^an? |^the /, "")}: the file is cut off`);
        continue;
      }
      digits += String.fromCharCode(byte);
      if (byte < 0x30 || byte > 0x39 || digits.length > MAX_DIGITS)
        throw new Error(`no number for ${what} at byte ${this.at - 1}`);
    }
  }

  /** Bits need no blanks between them. */
  bit(): number {
    for (;;) {
      const byte = this.next();
      if (byte === undefined) throw new Error("too few pixels: the file is cut off");
      if (isSpace(byte)) continue;
      if (byte === 0x30 || byte === 0x31) return byte - 0x30;
      throw new Error(`no bit at byte ${this.at - 1}`);
    }
  }

  /** The next byte outside comments, which go to the end of their line. */
  private next(): number | undefined {
    while (this.bytes[this.at] === HASH)
      while (this.at < this.bytes.length && this.bytes[this.at++] !== LF && this.bytes[this.at - 1] !== CR);
    return this.bytes[this.at++];
  }
}
