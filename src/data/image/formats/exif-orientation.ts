/**
 * How an image wants to be turned: the EXIF tag Orientation, 1 to 8 (JPEG, PNG, WebP, TIFF), or else that of its XMP, as Pillow finds it
 * (Image.getexif); and the turning, as Pillow's ImageOps.exif_transpose does it, which Hugging Face datasets applies to what it decodes.
 * What cannot be read of such metadata counts as 1, as stored: it must not stop a good image.
 * Source: Exif 2.32, 4.6.4 (tag 274); the formats' own specifications for where EXIF lies.
 */
import { inflateSync } from "node:zlib";
import type { RgbImage } from "../resample.js";

const ORIENTATION_TAG = 274;
const XMP_TAG = 700;
const TYPE_BYTES = new Map([
  [3, 2],
  [4, 4],
]);
/** IFD0 of a photo has some 15 entries, a TIFF's some 30. */
const MAX_ENTRIES = 4096;
/** Of compressed text in a PNG: metadata has kilobytes, XMP with a thumbnail some 100. */
const MAX_TEXT_BYTES = 2 ** 22;
const XMP_ORIENTATION = /tiff:Orientation(?:="|>)([0-9])/;
const XMP_MARK = "http://ns.adobe.com/xap/1.0/\0";
const EXIF_MARK = "Exif\0\0";

/** What a file says in EXIF, and what in XMP. */
interface Metadata {
  exif?: Uint8Array;
  xmp?: Uint8Array;
}

/** 1 to 8; 1 where nothing else is said. */
export function orientationOf(encoded: Uint8Array): number {
  try {
    const { exif, xmp } = metadataOf(encoded);
    const stated = exif === undefined ? undefined : orientationInTiff(exif);
    const found = stated ?? (xmp === undefined ? 1 : Number(XMP_ORIENTATION.exec(latin1(xmp))?.[1] ?? 1));
    return found >= 1 && found <= 8 ? found : 1;
  } catch {
    return 1;
  }
}

/** The image as its orientation wants it seen. */
export function turned(image: RgbImage, orientation: number): RgbImage {
  if (orientation < 2) return image;
  const { height, width, pixelsHWC } = image;
  const isOnSide = orientation >= 5;
  const [rows, columns] = isOnSide ? [width, height] : [height, width];
  const [isLast, isFlipped] = [[3, 4, 6, 7].includes(orientation), [2, 3, 7, 8].includes(orientation)];
  const target = new Uint8Array(pixelsHWC.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const [down, along] = isOnSide ? [column, row] : [row, column];
      const from = ((isLast ? height - 1 - down : down) * width + (isFlipped ? width - 1 - along : along)) * 3;
      const to = (row * columns + column) * 3;
      for (let channel = 0; channel < 3; channel++) target[to + channel] = pixelsHWC[from + channel] ?? 0;
    }
  return { height: rows, width: columns, pixelsHWC: target };
}

function metadataOf(encoded: Uint8Array): Metadata {
  const start = latin1(encoded.subarray(0, 12));
  if (start.startsWith("\xff\xd8")) return ofJpeg(encoded);
  if (start.startsWith("\x89PNG")) return ofPng(encoded);
  if (start.startsWith("RIFF") && start.endsWith("WEBP")) return ofWebp(encoded);
  return start.startsWith("II*\0") || start.startsWith("MM\0*") ? ofTiff(encoded) : {};
}

/** The segments up to the pixels. EXIF of more than 64 KB goes on in further segments; its first directory is in the first. */
function ofJpeg(encoded: Uint8Array): Metadata {
  const view = viewOf(encoded);
  const found: Metadata = {};
  let at = 2;
  while (at + 4 <= encoded.length && encoded[at] === 0xff) {
    const marker = encoded[at + 1] ?? 0;
    // Fill bytes, and markers without a length.
    if (marker === 0xff || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += marker === 0xff ? 1 : 2;
      continue;
    }
    if (marker === 0xda || marker === 0xd9) break;
    const segment = encoded.subarray(at + 4, at + 2 + view.getUint16(at + 2));
    if (marker === 0xe1 && startsWith(segment, EXIF_MARK)) found.exif ??= segment.subarray(EXIF_MARK.length);
    if (marker === 0xe1 && startsWith(segment, XMP_MARK)) found.xmp = segment.subarray(XMP_MARK.length);
    at += 2 + view.getUint16(at + 2);
  }
  return found;
}

/** EXIF in its own chunk, or as hexadecimal text as ImageMagick writes it; XMP as text. */
function ofPng(encoded: Uint8Array): Metadata {
  const view = viewOf(encoded);
  const found: Metadata = {};
  let profile: Uint8Array | undefined;
  for (let at = 8; at + 12 <= encoded.length; at += 12 + view.getUint32(at)) {
    const type = latin1(encoded.subarray(at + 4, at + 8));
    const chunk = encoded.subarray(at + 8, at + 8 + view.getUint32(at));
    if (type === "eXIf") found.exif = startsWith(chunk, EXIF_MARK) ? chunk.subarray(EXIF_MARK.length) : chunk;
    if (type !== "tEXt" && type !== "zTXt" && type !== "iTXt") continue;
    const keyword = latin1(chunk.subarray(0, Math.max(0, chunk.indexOf(0))));
    if (keyword === "XML:com.adobe.xmp") found.xmp = pngText(type, chunk);
    if (keyword === "Raw profile type exif") profile = hexProfile(pngText(type, chunk));
  }
  if (profile !== undefined) found.exif ??= profile;
  return found;
}

/** What follows the keyword: as it is, or compressed; `iTXt` has a language and a translation before it. */
function pngText(type: string, chunk: Uint8Array): Uint8Array {
  const after = chunk.indexOf(0) + 1;
  if (type === "tEXt") return chunk.subarray(after);
  if (type === "zTXt") return inflated(chunk.subarray(after + 1));
  const language = chunk.indexOf(0, after + 2) + 1;
  const text = chunk.subarray(chunk.indexOf(0, language) + 1);
  return chunk[after] === 1 ? inflated(text) : text;
}

function inflated(bytes: Uint8Array): Uint8Array {
  return inflateSync(bytes, { maxOutputLength: MAX_TEXT_BYTES });
}

/** Lines: empty, "exif", a length, then hexadecimal digits. */
function hexProfile(text: Uint8Array): Uint8Array {
  const bytes = Buffer.from(latin1(text).split("\n").slice(3).join(""), "hex");
  return startsWith(bytes, EXIF_MARK) ? bytes.subarray(EXIF_MARK.length) : bytes;
}

function ofWebp(encoded: Uint8Array): Metadata {
  const view = viewOf(encoded);
  const found: Metadata = {};
  let at = 12;
  while (at + 8 <= encoded.length) {
    const type = latin1(encoded.subarray(at, at + 4));
    const length = view.getUint32(at + 4, true);
    const chunk = encoded.subarray(at + 8, at + 8 + length);
    if (type === "EXIF") found.exif ??= startsWith(chunk, EXIF_MARK) ? chunk.subarray(EXIF_MARK.length) : chunk;
    if (type === "XMP ") found.xmp ??= chunk;
    at += 8 + length + (length % 2);
  }
  return found;
}

function ofTiff(encoded: Uint8Array): Metadata {
  const xmp = entryOf(encoded, XMP_TAG);
  if (xmp === undefined || (xmp.type !== 1 && xmp.type !== 7)) return { exif: encoded };
  const at = xmp.view.getUint32(xmp.at + 8, xmp.isLittle);
  return { exif: encoded, xmp: encoded.subarray(at, at + xmp.count) };
}

interface Entry {
  readonly view: DataView;
  readonly isLittle: boolean;
  /** Of the entry: tag, type, count, value. */
  readonly at: number;
  readonly type: number;
  readonly count: number;
}

/** An entry of the first directory. */
function entryOf(tiff: Uint8Array, tag: number): Entry | undefined {
  const order = latin1(tiff.subarray(0, 4));
  if (order !== "II*\0" && order !== "MM\0*") return undefined;
  const isLittle = order.startsWith("II");
  const view = viewOf(tiff);
  const directory = view.getUint32(4, isLittle);
  const count = Math.min(MAX_ENTRIES, view.getUint16(directory, isLittle));
  for (let index = 0; index < count; index++) {
    const at = directory + 2 + 12 * index;
    if (at + 12 > tiff.length) return undefined;
    if (view.getUint16(at, isLittle) !== tag) continue;
    return { view, isLittle, at, type: view.getUint16(at + 2, isLittle), count: view.getUint32(at + 4, isLittle) };
  }
  return undefined;
}

/** Undefined where the tag is absent. */
function orientationInTiff(tiff: Uint8Array): number | undefined {
  const entry = entryOf(tiff, ORIENTATION_TAG);
  if (entry === undefined) return undefined;
  const { view, isLittle, at, type, count } = entry;
  const bytes = TYPE_BYTES.get(type);
  if (bytes === undefined || count !== 1) return 1;
  return bytes === 2 ? view.getUint16(at + 8, isLittle) : view.getUint32(at + 8, isLittle);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return latin1(bytes.subarray(0, text.length)) === text;
}

/** A character a byte. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
