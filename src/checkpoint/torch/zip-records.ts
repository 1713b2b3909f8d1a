/**
 * The records of a zip archive as torch.save writes them since PyTorch 1.6: each is a range of bytes of the file. Strict,
 * because archives that two readers understand differently are an old way to hide things: one archive that fills the file, central and
 * local headers that agree, no record in or over another. Source: PKWARE's APPNOTE.TXT 4.3 (zip64 included), and PyTorch's inline_container.cc.
 */
import type { FileHandle } from "node:fs/promises";
import { CheckpointError } from "../../errors.js";
import { quote } from "../../runtime/printable.js";
import { decodeUtf8, readExactly } from "../../runtime/regular-file.js";
import { MAX_NAME_LENGTH, MAX_TENSORS } from "../safetensors-header.js";

/** A record for each tensor and some more; a bound on what is read before anything is validated. */
const MAX_RECORDS = MAX_TENSORS + 1000;
/** Some 200 bytes for each of so many records. */
const MAX_DIRECTORY_BYTES = 32_000_000;

const END = { signature: 0x06054b50, bytes: 22 };
const END64 = { signature: 0x06064b50, bytes: 56 };
const LOCATOR64 = { signature: 0x07064b50, bytes: 20 };
const CENTRAL = { signature: 0x02014b50, bytes: 46 };
const LOCAL = { signature: 0x04034b50, bytes: 30 };
/** The identifier of the extra field with sizes of 8 bytes. */
const EXTRA64 = 1;
const [MOST16, MOST32] = [0xffff, 0xffff_ffff];

/** Sizes follow the data, in a descriptor of at most 24 bytes; names are in UTF-8. Any other flag (encryption, patches) is refused. */
const [SIZES_FOLLOW, UTF8_NAME] = [0x8, 0x800];
const MAX_DESCRIPTOR_BYTES = 24;

export interface ZipRecord {
  readonly name: string;
  /** Of the data, from the beginning of the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
  /** Whether the data is the content itself and not compressed. */
  readonly isStored: boolean;
  readonly crc32: number;
}

interface Central extends Omit<ZipRecord, "byteOffset"> {
  readonly headerOffset: number;
  readonly flags: number;
}

/** All records by name. Throws CheckpointError for an archive that breaks a rule above, or is truncated. */
export async function readZipRecords(
  file: FileHandle,
  sizeBytes: number,
  path: string,
): Promise<ReadonlyMap<string, ZipRecord>> {
  const read = async (offset: number, length: number): Promise<DataView> => {
    if (offset < 0 || offset + length > sizeBytes)
      throw notAnArchive(path, `${length} bytes at ${offset}`, `a file of ${sizeBytes} bytes (truncated?)`);
    const bytes = new Uint8Array(length);
    await readExactly(file, bytes, offset, path);
    return new DataView(bytes.buffer);
  };
  const { count, directoryOffset, directoryBytes } = await readEnd(read, sizeBytes, path);
  const centrals = parseDirectory(await read(directoryOffset, directoryBytes), count, path);
  const records = new Map<string, ZipRecord>();
  let end = 0;
  for (const central of centrals.toSorted((a, b) => a.headerOffset - b.headerOffset)) {
    const { name, byteLength, isStored, crc32, headerOffset } = central;
    if (records.has(name)) throw notAnArchive(path, "every record once", `${quote(name)} twice`);
    const gap = headerOffset - end;
    if (gap < 0 || gap > (end === 0 ? 0 : MAX_DESCRIPTOR_BYTES))
      throw notAnArchive(
        path,
        `record ${quote(name)} to begin at ${end}, where the one before it ends`,
        `${headerOffset}`,
      );
    const byteOffset = await dataOffset(read, central, path);
    end = byteOffset + byteLength;
    records.set(name, { name, byteOffset, byteLength, isStored, crc32 });
  }
  if (end > directoryOffset || directoryOffset - end > MAX_DESCRIPTOR_BYTES)
    throw notAnArchive(path, `the directory of records to begin at ${end}, where they end`, `${directoryOffset}`);
  return records;
}

type Read = (offset: number, length: number) => Promise<DataView>;

interface End {
  readonly count: number;
  readonly directoryOffset: number;
  readonly directoryBytes: number;
}

/** From the end of the file, which is the end of the archive: no comment, nothing after it. */
async function readEnd(read: Read, sizeBytes: number, path: string): Promise<End> {
  const at = sizeBytes - END.bytes;
  const view = await read(at, END.bytes);
  if (view.getUint32(0, true) !== END.signature || view.getUint16(20, true) !== 0)
    throw notAnArchive(
      path,
      "the end of a zip archive at the end of the file",
      "something else (truncated, or bytes after it)",
    );
  const short = {
    count: view.getUint16(10, true),
    directoryBytes: view.getUint32(12, true),
    directoryOffset: view.getUint32(16, true),
  };
  if (view.getUint32(4, true) !== 0 || view.getUint16(8, true) !== short.count)
    throw notAnArchive(path, "an archive in one part", "one of several parts");
  const long = await readEnd64(read, at, path);
  const isLong = short.count === MOST16 || short.directoryBytes === MOST32 || short.directoryOffset === MOST32;
  if (long === undefined && isLong) throw notAnArchive(path, "the sizes of a large archive (zip64)", "none");
  const found = long ?? { ...short, end: at };
  const differs = (own: number, most: number, other: number) => own !== most && own !== other;
  if (
    differs(short.count, MOST16, found.count) ||
    differs(short.directoryBytes, MOST32, found.directoryBytes) ||
    differs(short.directoryOffset, MOST32, found.directoryOffset)
  )
    throw notAnArchive(path, "the same sizes at both ends of the archive's directory", "two different ones");
  if (found.directoryOffset + found.directoryBytes !== found.end)
    throw notAnArchive(
      path,
      `the directory of records to end at ${found.end}`,
      `${found.directoryOffset + found.directoryBytes} (bytes before or inside the archive)`,
    );
  if (found.count > MAX_RECORDS || found.directoryBytes > MAX_DIRECTORY_BYTES)
    throw notAnArchive(path, `at most ${MAX_RECORDS} records`, `${found.count} in ${found.directoryBytes} bytes`);
  return found;
}

async function readEnd64(read: Read, endOffset: number, path: string): Promise<(End & { end: number }) | undefined> {
  const locatorOffset = endOffset - LOCATOR64.bytes;
  if (locatorOffset < END64.bytes) return undefined;
  const locator = await read(locatorOffset, LOCATOR64.bytes);
  if (locator.getUint32(0, true) !== LOCATOR64.signature) return undefined;
  const at = long(locator, 8, path);
  const view = await read(locatorOffset - END64.bytes, END64.bytes);
  if (at !== locatorOffset - END64.bytes || view.getUint32(0, true) !== END64.signature)
    throw notAnArchive(
      path,
      `the zip64 end at ${locatorOffset - END64.bytes}`,
      `${at} (bytes before or inside the archive)`,
    );
  const count = long(view, 32, path);
  if (view.getUint32(16, true) !== 0 || view.getUint32(20, true) !== 0 || long(view, 24, path) !== count)
    throw notAnArchive(path, "an archive in one part", "one of several parts");
  return { count, directoryBytes: long(view, 40, path), directoryOffset: long(view, 48, path), end: at };
}

function parseDirectory(view: DataView, count: number, path: string): Central[] {
  const records: Central[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL.bytes > view.byteLength || view.getUint32(at, true) !== CENTRAL.signature)
      throw notAnArchive(path, `${count} records in the directory`, `${i}`);
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => view.getUint16(at + field, true));
    const end = at + CENTRAL.bytes + (nameBytes ?? 0) + (extraBytes ?? 0) + (commentBytes ?? 0);
    if (end > view.byteLength) throw notAnArchive(path, `${count} records in the directory`, `${i}`);
    records.push(parseCentral(view, at, path));
    at = end;
  }
  if (at !== view.byteLength) throw notAnArchive(path, `${count} records in the directory`, "more");
  return records;
}

function parseCentral(view: DataView, at: number, path: string): Central {
  const nameBytes = view.getUint16(at + 28, true);
  const name = recordName(new Uint8Array(view.buffer, at + CENTRAL.bytes, nameBytes), path);
  const fail = (expected: string, found: string): never => {
    throw notAnArchive(path, `record ${quote(name)} ${expected}`, found);
  };
  const flags = view.getUint16(at + 8, true);
  if ((flags & ~(SIZES_FOLLOW | UTF8_NAME)) !== 0)
    fail("without encryption or other options", `flags 0x${flags.toString(16)}`);
  const isStored = view.getUint16(at + 10, true) === 0;
  if (view.getUint16(at + 34, true) !== 0) fail("in this file", "in another part");
  const extra = { at: at + CENTRAL.bytes + nameBytes, bytes: view.getUint16(at + 30, true) };
  const own = [24, 20, 42].map((field) => view.getUint32(at + field, true));
  const [byteLength = 0, storedBytes = 0, headerOffset = 0] = withLongSizes(view, extra, own, path);
  if (isStored && byteLength !== storedBytes) fail(`of ${byteLength} bytes`, `${storedBytes}`);
  return { name, isStored, byteLength: storedBytes, headerOffset, flags, crc32: view.getUint32(at + 16, true) };
}

/** Those of the sizes that did not fit into 4 bytes come from the zip64 field, in this order. */
function withLongSizes(
  view: DataView,
  extra: { readonly at: number; readonly bytes: number },
  sizes: readonly number[],
  path: string,
): number[] {
  if (!sizes.includes(MOST32)) return [...sizes];
  for (let at = extra.at; at + 4 <= extra.at + extra.bytes; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== EXTRA64) continue;
    const wanted = sizes.filter((size) => size === MOST32).length;
    const bytes = view.getUint16(at + 2, true);
    if (bytes < wanted * 8 || at + 4 + bytes > extra.at + extra.bytes) break;
    let next = at + 4;
    return sizes.map((size) => {
      if (size !== MOST32) return size;
      next += 8;
      return long(view, next - 8, path);
    });
  }
  throw notAnArchive(path, "the sizes of a large record (zip64)", "none");
}

/** Where a record's data begins, after a local header that says the same as the central one. */
async function dataOffset(
  read: Read,
  { name, headerOffset, flags, byteLength, isStored, crc32 }: Central,
  path: string,
): Promise<number> {
  const view = await read(headerOffset, LOCAL.bytes);
  const [nameBytes, extraBytes] = [view.getUint16(26, true), view.getUint16(28, true)];
  const own =
    nameBytes > MAX_NAME_LENGTH
      ? new Uint8Array()
      : new Uint8Array((await read(headerOffset + LOCAL.bytes, nameBytes)).buffer);
  const [crc = 0, stored = 0, length = 0] = [14, 18, 22].map((field) => view.getUint32(field, true));
  // Where sizes follow the data the header has zeros, or the marks of zip64.
  const isOpen = (flags & SIZES_FOLLOW) !== 0;
  const agrees = (size: number) => !isStored || size === byteLength || size === MOST32 || (isOpen && size === 0);
  const isSame =
    view.getUint32(0, true) === LOCAL.signature &&
    decodeUtf8(own) === name &&
    view.getUint16(6, true) === flags &&
    (view.getUint16(8, true) === 0) === isStored &&
    (crc === crc32 || (isOpen && crc === 0)) &&
    agrees(stored) &&
    agrees(length);
  if (!isSame)
    throw notAnArchive(
      path,
      `record ${quote(name)} at ${headerOffset}, as the directory says`,
      "another record or none",
    );
  return headerOffset + LOCAL.bytes + nameBytes + extraBytes;
}

function recordName(bytes: Uint8Array, path: string): string {
  const name = bytes.length > MAX_NAME_LENGTH ? undefined : decodeUtf8(bytes);
  const isPlain =
    name !== undefined &&
    !name.includes("\\") &&
    name.split("/").every((part) => part !== "" && part !== "." && part !== "..") &&
    ![...name].some((char) => char < " ");
  if (isPlain) return name;
  throw notAnArchive(
    path,
    "plain names of records",
    name === undefined ? "one that is too long or not text" : quote(name),
  );
}

function long(view: DataView, at: number, path: string): number {
  const value = view.getBigUint64(at, true);
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw notAnArchive(path, "sizes and places below 2^53", String(value));
}

function notAnArchive(path: string, expected: string, found: string): CheckpointError {
  return new CheckpointError(
    `${path}: not a valid PyTorch file (zip archive): expected ${expected}, found ${found}. Get the file again from its source.`,
  );
}
