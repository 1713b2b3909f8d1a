/**
 * Windows and OS/2 bitmaps as Pillow reads them (BmpImagePlugin.py): 1, 4, 8, 16, 24 and 32 bits, run lengths (RLE4, RLE8), bit fields,
 * bottom-up and top-down. The fourth byte of 32 bits is transparency only where bit fields say so. Bit fields of any width are read; Pillow
 * refuses those that are not usual. Pictures of JPEG or PNG inside a BMP are refused, as there.
 * Source of the format: Microsoft's "Bitmap Storage" (BITMAPINFOHEADER to BITMAPV5HEADER).
 */
import { runLengthIndices } from "./bmp-run-lengths.js";
import { checkSize, type DecodedImage } from "./encoded-pixels.js";

const FILE_HEADER = 14;
/** OS/2's first header has 16-bit sizes, and a palette of 3 bytes a colour. */
const CORE_HEADER = 12;
const HEADERS: ReadonlySet<number> = new Set([40, 52, 56, 64, 108, 124]);
/** Of a header of 52 bytes and more; below that they follow the header. */
const MASKS_AT = 40;
const COMPRESSION = { none: 0, rle8: 1, rle4: 2, bitFields: 3 } as const;
const MAX_COLOURS = 65_536;

interface Header {
  readonly size: number;
  readonly width: number;
  readonly height: number;
  readonly isTopDown: boolean;
  readonly bits: number;
  readonly compression: number;
  readonly colours: number;
  readonly colourBytes: 3 | 4;
}

export function isBmp(encoded: Uint8Array): boolean {
  return encoded[0] === 0x42 && encoded[1] === 0x4d;
}

/** Throws Error for a file that is cut off, contradicts itself, or has a form that is not read. */
export function decodeBmp(encoded: Uint8Array): DecodedImage {
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  const header = readHeader(view);
  const { bits, compression, width, height } = header;
  checkSize(width, height);
  const isRuns = compression === COMPRESSION.rle8 || compression === COMPRESSION.rle4;
  if (isRuns && bits !== (compression === COMPRESSION.rle8 ? 8 : 4))
    throw new Error(`run lengths of ${compression === COMPRESSION.rle8 ? 8 : 4} bits in a BMP of ${bits}`);
  if (bits <= 8) return indexedImage(encoded, view, header, isRuns);
  const masks = bits === 24 ? undefined : masksOf(view, header);
  const data = pixelsFrom(encoded, dataOffset(view, header, afterHeader(header)));
  return bits === 24 ? rgb24(data, header) : maskedImage(data, header, masks ?? []);
}

function readHeader(view: DataView): Header {
  if (view.byteLength < FILE_HEADER + CORE_HEADER) throw new Error("a BMP that is cut off in its header");
  const size = view.getUint32(FILE_HEADER, true);
  if (size !== CORE_HEADER && !HEADERS.has(size)) throw new Error(`a BMP with a header of ${size} bytes`);
  if (view.byteLength < FILE_HEADER + size) throw new Error("a BMP that is cut off in its header");
  const at = (offset: number) => FILE_HEADER + offset;
  const isCore = size === CORE_HEADER;
  const height = isCore ? view.getUint16(at(6), true) : view.getInt32(at(8), true);
  const bits = view.getUint16(at(isCore ? 10 : 14), true);
  const compression = isCore ? COMPRESSION.none : view.getUint32(at(16), true);
  const stated = isCore ? 0 : view.getUint32(at(32), true);
  if (![1, 4, 8, 16, 24, 32].includes(bits)) throw new Error(`a BMP of ${bits} bits a pixel`);
  if (compression > COMPRESSION.bitFields || (compression === COMPRESSION.bitFields && bits <= 8))
    throw new Error(`a BMP of ${bits} bits a pixel with compression ${compression}`);
  return {
    size,
    width: isCore ? view.getUint16(at(4), true) : view.getInt32(at(4), true),
    height: Math.abs(height),
    isTopDown: height < 0,
    bits,
    compression,
    colours: stated === 0 ? 2 ** bits : stated,
    colourBytes: isCore ? 3 : 4,
  };
}

/** Where the palette begins; bit fields behind a header of 40 bytes take 12 more. */
function afterHeader({ size, compression }: Header): number {
  return FILE_HEADER + size + (compression === COMPRESSION.bitFields && size < 52 ? 12 : 0);
}

/** Where the pixels begin. Some writers forget the palette when they say where. */
function dataOffset(view: DataView, header: Header, behind: number): number {
  const stated = view.getUint32(10, true);
  if (stated === FILE_HEADER + header.size && header.bits <= 8) return stated + header.colourBytes * header.colours;
  return stated === 0 ? behind : stated;
}

function pixelsFrom(encoded: Uint8Array, offset: number): Uint8Array {
  if (offset > encoded.length) throw new Error(`pixels at byte ${offset} of ${encoded.length}`);
  return encoded.subarray(offset);
}

function indexedImage(encoded: Uint8Array, view: DataView, header: Header, isRuns: boolean): DecodedImage {
  const { width, height, bits, colours, colourBytes } = header;
  if (colours > MAX_COLOURS) throw new Error(`a palette of ${colours} colours`);
  const paletteAt = afterHeader(header);
  const palette = encoded.subarray(paletteAt, paletteAt + colourBytes * colours);
  if (palette.length < colourBytes * colours) throw new Error("a BMP that is cut off in its palette");
  const data = pixelsFrom(encoded, dataOffset(view, header, paletteAt + palette.length));
  const indices = isRuns ? runLengthIndices(data, width, height, bits === 4) : packedIndices(data, header);
  const rgb = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    const from = rowOf(row, header) * width;
    for (let column = 0; column < width; column++) {
      const colour = (indices[from + column] ?? 0) * colourBytes;
      const to = (row * width + column) * 3;
      // Blue comes first; what is beyond the palette is black.
      for (let channel = 0; channel < 3; channel++) rgb[to + channel] = palette[colour + 2 - channel] ?? 0;
    }
  }
  return { width, height, channels: 3, data: rgb };
}

/** Indices row by row as they are stored, from the highest bits of each byte. */
function packedIndices(data: Uint8Array, header: Header): Uint8Array {
  const { width, height, bits } = header;
  const rowBytes = requireRows(data, header);
  const perByte = 8 / bits;
  const most = 2 ** bits - 1;
  const indices = new Uint8Array(width * height);
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const byte = data[row * rowBytes + Math.floor(column / perByte)] ?? 0;
      indices[row * width + column] = (byte >> (8 - bits - (column % perByte) * bits)) & most;
    }
  return indices;
}

function rgb24(data: Uint8Array, header: Header): DecodedImage {
  const { width, height } = header;
  const rowBytes = requireRows(data, header);
  const rgb = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    const from = rowOf(row, header) * rowBytes;
    for (let at = 0; at < 3 * width; at++) rgb[row * width * 3 + at] = data[from + at + 2 - 2 * (at % 3)] ?? 0;
  }
  return { width, height, channels: 3, data: rgb };
}

/** Red, green, blue and, where there is transparency, alpha. */
function masksOf(view: DataView, { bits, compression, size }: Header): readonly number[] {
  if (compression === COMPRESSION.none) return bits === 16 ? [0x7c00, 0x3e0, 0x1f] : [0xff0000, 0xff00, 0xff];
  const count = size >= 56 ? 4 : 3;
  const at = FILE_HEADER + MASKS_AT;
  if (view.byteLength < at + 4 * count) throw new Error("a BMP that is cut off in its bit fields");
  const masks = Array.from({ length: count }, (_, index) => view.getUint32(at + 4 * index, true));
  if (masks.every((mask) => mask === 0) && bits === 32 && count === 4) return [0xff0000, 0xff00, 0xff, 0xff000000];
  if (
    masks.slice(0, 3).some((mask) => !isField(mask, bits)) ||
    (masks[3] !== undefined && masks[3] > 0 && !isField(masks[3], bits))
  )
    throw new Error(`bit fields of ${masks.map((mask) => `0x${mask.toString(16)}`).join(", ")}`);
  return bits === 16 || masks[3] === 0 ? masks.slice(0, 3) : masks;
}

/** Neighbouring bits of a pixel. */
function isField(mask: number, bits: number): boolean {
  return mask > 0 && mask < 2 ** bits && /^1+0*$/.test(mask.toString(2));
}

function maskedImage(data: Uint8Array, header: Header, masks: readonly number[]): DecodedImage {
  const { width, height, bits } = header;
  const rowBytes = requireRows(data, header);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const channels = masks.length === 4 ? 4 : 3;
  const fields = masks.map((mask) => {
    const shift = 31 - Math.clz32(mask & -mask);
    return { shift, most: (mask >>> shift) >>> 0 };
  });
  const samples = new Uint8Array(width * height * channels);
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const at = rowOf(row, header) * rowBytes + (column * bits) / 8;
      const pixel = bits === 16 ? view.getUint16(at, true) : view.getUint32(at, true);
      for (const [channel, { shift, most }] of fields.entries())
        samples[(row * width + column) * channels + channel] = Math.floor((((pixel >>> shift) & most) * 255) / most);
    }
  return { width, height, channels, data: samples };
}

/** Bytes of a stored row, which ends at a multiple of 4. Throws where the pixels are cut off. */
function requireRows(data: Uint8Array, { width, height, bits }: Header): number {
  const rowBytes = 4 * Math.ceil((width * bits) / 32);
  if (data.length < rowBytes * height) throw new Error(`${data.length} bytes of pixels, of ${rowBytes * height}`);
  return rowBytes;
}

/** The stored row that is shown at `row`. */
function rowOf(row: number, { height, isTopDown }: Header): number {
  return isTopDown ? row : height - 1 - row;
}
