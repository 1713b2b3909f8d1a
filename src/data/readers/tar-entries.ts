/**
 * The files in a tar archive: where each begins and how long it is. Reads what GNU tar, Python and the WebDataset library write (POSIX ustar with
 * pax or GNU long names); extracts nothing. Source of the format: POSIX pax, "ustar Interchange Format".
 */
import type { FileHandle } from "node:fs/promises";
import { DataError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import { openRegular } from "../../runtime/regular-file.js";

const BLOCK = 512;
/** Read ahead at once: headers of small files lie close together. */
const WINDOW_BYTES = 2 ** 20;
/** A name or pax header is some hundred bytes; more is no archive of images. */
const MAX_EXTRA_BYTES = 2 ** 16;
const CHECKSUM = { at: 148, bytes: 8 } as const;

export interface TarEntry {
  readonly name: string;
  /** In the archive. */
  readonly offset: number;
  readonly sizeBytes: number;
}

/** An archive that is being read; its bytes by place, from a window that moves along. */
export interface TarFile {
  readonly path: string;
  entries(): AsyncGenerator<TarEntry>;
  /** Bytes of an entry. Throws DataError when the archive ends before. */
  read(entry: Pick<TarEntry, "offset" | "sizeBytes">): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Opens an archive. Its entries throw DataError where it is none, or is cut off. */
export async function openTar(path: string): Promise<TarFile> {
  const file = await openRegular(path, "a tar archive", DataError);
  const { size: archiveBytes } = await file.stat();
  const read = windowedReader(file, path);
  return {
    path,
    entries: () => entriesOf(path, read, archiveBytes),
    read: ({ offset, sizeBytes }) => read(offset, sizeBytes),
    close: () => file.close(),
  };
}

type Read = (offset: number, length: number) => Promise<Uint8Array>;

/** Every header lies behind the one before it and every entry inside the archive, so that the walk ends. */
async function* entriesOf(path: string, read: Read, archiveBytes: number): AsyncGenerator<TarEntry> {
  let position = 0;
  let longName: string | undefined;
  let longSize: number | undefined;
  for (;;) {
    const header = await read(position, BLOCK);
    // The end is two blocks of zeros; one is enough to know it.
    if (header.every((byte) => byte === 0)) return;
    checkHeader(header, path, position);
    const type = String.fromCharCode(header[156] ?? 0);
    const offset = position + BLOCK;
    const isOfNext = type === "x" || type === "L" || type === "K" || type === "g";
    const sizeBytes = isOfNext || longSize === undefined ? numberAt(header, 124, 12, path, position) : longSize;
    if (sizeBytes > archiveBytes - offset)
      throw new DataError(
        `${path}: byte ${position}: expected a file inside the archive's ${archiveBytes} bytes, found one of ${sizeBytes} bytes at byte ${offset}: the archive is cut off or damaged; download it again`,
      );
    position = offset + Math.ceil(sizeBytes / BLOCK) * BLOCK;
    if (type === "x" || type === "L") {
      if (sizeBytes > MAX_EXTRA_BYTES)
        throw new DataError(`${path}: byte ${offset}: expected a file's name, found ${sizeBytes} bytes`);
      const extra = await read(offset, sizeBytes);
      if (type === "L") longName = textAt(extra, 0, extra.length);
      else ({ name: longName = longName, sizeBytes: longSize } = paxHeader(extra, path, offset));
      continue;
    }
    if (isOfNext) continue;
    if (type === "0" || type === "\0") yield { name: longName ?? nameIn(header), offset, sizeBytes };
    longName = undefined;
    longSize = undefined;
  }
}

/** Records `<length> <key>=<value>\n`; the length counts the whole record in bytes. Later records go before earlier ones. */
function paxHeader(extra: Uint8Array, path: string, offset: number): { name?: string; sizeBytes?: number } {
  const records = new Map<string, string>();
  const bytes = Buffer.from(extra.buffer, extra.byteOffset, extra.byteLength);
  // What follows a zero is padding.
  for (let at = 0; at < bytes.length && bytes[at] !== 0; ) {
    const [head = "", digits = ""] = /^(\d{1,6}) /.exec(bytes.toString("latin1", at, at + 7)) ?? [];
    const end = at + Number(digits);
    const equals = bytes.indexOf("=", at + head.length);
    if (head === "" || end > bytes.length || bytes[end - 1] !== 0x0a || equals < at || equals >= end)
      throw new DataError(
        `${path}: byte ${offset + at}: expected a record of a pax header ("<length> <key>=<value>"), found ${quote(bytes.toString("latin1", at, at + 20))}; the archive is damaged, download it again`,
      );
    records.set(bytes.toString("utf8", at + head.length, equals), bytes.toString("utf8", equals + 1, end - 1));
    at = end;
  }
  const [name, size] = [records.get("path"), records.get("size")];
  if (size !== undefined && !(/^\d{1,16}$/.test(size) && Number.isSafeInteger(Number(size))))
    throw new DataError(
      `${path}: byte ${offset}: expected the size of a file in the pax header, found ${quote(size)}; the archive is damaged, download it again`,
    );
  return { ...(name === undefined ? {} : { name }), ...(size === undefined ? {} : { sizeBytes: Number(size) }) };
}

function nameIn(header: Uint8Array): string {
  const isUstar = textAt(header, 257, 5) === "ustar";
  // GNU's archives have times where POSIX's have a prefix.
  const prefix = isUstar && header[262] === 0 ? textAt(header, 345, 155) : "";
  const name = textAt(header, 0, 100);
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** The sum of the header's bytes, with blanks in the place of the sum. */
function checkHeader(header: Uint8Array, path: string, position: number): void {
  const sum = header.reduce((total, byte, at) => {
    const isOfSum = at >= CHECKSUM.at && at < CHECKSUM.at + CHECKSUM.bytes;
    return total + (isOfSum ? 0x20 : byte);
  }, 0);
  const stated = Number.parseInt(textAt(header, CHECKSUM.at, CHECKSUM.bytes).trim(), 8);
  if (sum !== stated)
    throw new DataError(
      `${path}: byte ${position}: expected the header of a file in a tar archive, found other bytes; is it compressed, or damaged? Download it again`,
    );
}

/** Octal digits, or, marked by the highest bit, a number of base 256. */
function numberAt(header: Uint8Array, at: number, length: number, path: string, position: number): number {
  const bytes = header.subarray(at, at + length);
  const isBinary = ((bytes[0] ?? 0) & 0x80) !== 0;
  const text = textAt(header, at, length).trim();
  const octal = /^[0-7]*$/.test(text) ? Number.parseInt(text || "0", 8) : Number.NaN;
  const value = isBinary ? bytes.subarray(1).reduce((sum, byte) => sum * 256 + byte, (bytes[0] ?? 0) & 0x7f) : octal;
  if (Number.isSafeInteger(value)) return value;
  throw new DataError(
    `${path}: byte ${position}: expected the size of a file, found ${isBinary ? value : quote(text)}; the archive is damaged, download it again`,
  );
}

function textAt(bytes: Uint8Array, at: number, length: number): string {
  return Buffer.from(bytes.subarray(at, at + length))
    .toString("utf8")
    .replace(/\0.*$/s, "");
}

function windowedReader(file: FileHandle, path: string): Read {
  let window: Uint8Array = new Uint8Array();
  let start = 0;
  return async (offset, length) => {
    if (offset < start || offset + length > start + window.length) {
      const bytes = new Uint8Array(Math.max(length, WINDOW_BYTES));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, offset);
      window = bytes.subarray(0, bytesRead);
      start = offset;
      if (bytesRead < length)
        throw new DataError(
          `${path}: expected ${length} bytes at byte ${offset}, found ${bytesRead}: the archive is cut off; download it again`,
        );
    }
    return window.slice(offset - start, offset - start + length);
  };
}
