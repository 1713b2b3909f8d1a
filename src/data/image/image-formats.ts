/**
 * The image formats that are read: what their files are called and with which bytes they begin. Bytes of any other format are refused by name
 * before a decoder sees them: the library behind sharp would also draw SVG and decode AVIF, of which 186 bytes can ask for gigabytes.
 * A format is a line here; decoding is `decode-image.ts`.
 */
import { isBmp } from "./formats/bmp.js";
import { isPnm } from "./formats/pnm.js";

export interface ImageFormat {
  /** As people write it. */
  readonly name: string;
  /** Endings of file names, in small letters. */
  readonly extensions: readonly string[];
  /** Whether a file with these first bytes is one. */
  readonly begins: (first: Uint8Array) => boolean;
}

export const IMAGE_FORMATS = [
  { name: "PNG", extensions: ["png"], begins: (first) => has(first, 0, "\x89PNG\r\n\x1a\n") },
  { name: "JPEG", extensions: ["jpg", "jpeg", "jpe", "jfif"], begins: (first) => has(first, 0, "\xff\xd8\xff") },
  { name: "WebP", extensions: ["webp"], begins: (first) => has(first, 0, "RIFF") && has(first, 8, "WEBP") },
  { name: "GIF", extensions: ["gif"], begins: (first) => has(first, 0, "GIF87a") || has(first, 0, "GIF89a") },
  {
    name: "TIFF",
    extensions: ["tif", "tiff"],
    // The last two are BigTIFF.
    begins: (first) => ["II*\0", "MM\0*", "II+\0", "MM\0+"].some((magic) => has(first, 0, magic)),
  },
  { name: "BMP", extensions: ["bmp", "dib"], begins: isBmp },
  { name: "PNM", extensions: ["ppm", "pgm", "pbm", "pnm"], begins: isPnm },
] as const satisfies readonly ImageFormat[];

/** For errors: what was expected. */
export const IMAGE_FORMAT_NAMES = IMAGE_FORMATS.map(({ name }) => name).join(", ");

const EXTENSIONS: ReadonlySet<string> = new Set(IMAGE_FORMATS.flatMap(({ extensions }) => extensions));

/** Whether a file's ending, without the dot, is that of an image that is read. */
export function isImageExtension(extension: string): boolean {
  return EXTENSIONS.has(extension.toLowerCase());
}

/** The format that the first bytes show; undefined for any that is not read. */
export function imageFormatOf(bytes: Uint8Array): ImageFormat | undefined {
  return IMAGE_FORMATS.find(({ begins }) => begins(bytes));
}

/** Formats that are not read, to say what was found. */
const OTHERS: readonly (readonly [is: string, begins: (first: Uint8Array, text: string) => boolean])[] = [
  ["an SVG drawing", (_, text) => /^\s*(?:<\?xml|<!--|<svg)/i.test(text) && /<svg/i.test(text)],
  ["an AVIF image", (first) => has(first, 4, "ftypavi")],
  ["a HEIF image", (first) => has(first, 4, "ftyp")],
  ["a JPEG XL image", (first) => has(first, 0, "\xff\x0a") || has(first, 4, "JXL ")],
  ["a JPEG 2000 image", (first) => has(first, 4, "jP  ") || has(first, 0, "\xff\x4f\xff\x51")],
  ["a PAM image", (_, text) => /^P7\s/.test(text)],
  ["a Photoshop file", (first) => has(first, 0, "8BPS")],
  ["a PDF document", (first) => has(first, 0, "%PDF")],
  ["gzip-compressed data", (first) => has(first, 0, "\x1f\x8b")],
];
/** As far as XML's declarations and comments may push `<svg`. */
const SNIFFED_BYTES = 1024;

/** What bytes of no format that is read are instead; undefined when that is not known. */
export function describeOtherFormat(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes.subarray(0, SNIFFED_BYTES)).toString("latin1");
  return OTHERS.find(([, begins]) => begins(bytes, text))?.[0];
}

/** `text` has a byte per letter. */
function has(bytes: Uint8Array, at: number, text: string): boolean {
  for (let index = 0; index < text.length; index++) if (bytes[at + index] !== text.charCodeAt(index)) return false;
  return true;
}
