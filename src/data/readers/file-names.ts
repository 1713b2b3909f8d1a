/**
 * Names on the disk as bytes: text where they are UTF-8, and what is said where they are not. An archive that was made elsewhere can hold
 * names in Latin-1; read as UTF-8 they become others, under which nothing is found. Also finds a file whose accents are composed in one
 * place and decomposed in the other, as macOS has them.
 */
import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { DataError } from "../../errors.js";
import { printable, quote } from "../../runtime/printable.js";
import { decodeUtf8 } from "../../runtime/regular-file.js";

export interface ListedEntry {
  /** Text with a mark in the place of what is no UTF-8: for messages only where `isText` is false. */
  readonly name: string;
  readonly isText: boolean;
  readonly isFolder: boolean;
  readonly isLink: boolean;
}

/** The entries of a folder, in no order. */
export async function listEntries(folder: string): Promise<readonly ListedEntry[]> {
  const entries: Dirent<Buffer>[] = await readdir(folder, { withFileTypes: true, encoding: "buffer" });
  return entries.map((entry) => {
    const text = decodeUtf8(entry.name);
    return {
      name: text ?? escapedBytes(entry.name),
      isText: text !== undefined,
      isFolder: entry.isDirectory(),
      isLink: entry.isSymbolicLink(),
    };
  });
}

/** For names that cannot be used. `what` says what has it: "the folder". */
export function foreignName(place: string, what: string, name: string): DataError {
  return new DataError(
    `${place}: expected names in UTF-8, found ${what} "${name}" in another encoding (from an old archive?); rename it, e.g. with \`convmv -r -f latin1 -t utf8 --notest\``,
  );
}

/** Bytes as text where each that is not ASCII stands as `\xe9`. */
export function escapedBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) =>
    byte < 0x80 ? printable(String.fromCharCode(byte)) : `\\x${byte.toString(16).padStart(2, "0")}`,
  ).join("");
}

/** The file as the disk calls it: `path`, or the same name with its accents composed or decomposed; undefined if there is none. */
export async function presentFile(path: string): Promise<string | undefined> {
  for (const candidate of new Set([path, path.normalize("NFC"), path.normalize("NFD")]))
    if ((await stat(candidate).catch(() => undefined)) !== undefined) return candidate;
  return undefined;
}

/** What there is instead of a file that is not there, for an error; empty where nothing is like it. */
export async function namesLike(path: string): Promise<string> {
  const folder = dirname(path);
  if (folder === path) return "";
  const entries = await listEntries(folder).catch(() => undefined);
  if (entries === undefined) return namesLike(folder);
  const wanted = basename(path);
  const latin1 = escapedBytes(Buffer.from(wanted, "latin1"));
  const foreign = entries.find(
    ({ name, isText }) =>
      !isText && (name === latin1 || name === escapedBytes(Buffer.from(wanted.normalize("NFC"), "latin1"))),
  );
  if (foreign !== undefined)
    return `; ${printable(folder)} has "${foreign.name}", a name in another encoding than UTF-8: rename it, e.g. with \`convmv -r -f latin1 -t utf8 --notest\``;
  const other = entries.find(({ name }) => name.toLowerCase() === wanted.toLowerCase());
  if (other !== undefined) return `; ${printable(folder)} has ${quote(other.name)}`;
  return wanted.includes("\\") ? "; folders are parted by / here" : "";
}
