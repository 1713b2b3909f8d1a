/**
 * Reading files whose paths come from people and from other files: only regular ones are opened (a pipe would wait for
 * its writer, a device never ends), only as much is read as was asked for, and text must be valid UTF-8.
 */

import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { CheckpointError, type UserError } from "../errors.js";
import { isThere } from "./is-there.js";

/** One read() takes less than 2 GiB; smaller pieces let other work in between. */
export const READ_BYTES = 64 * 1024 * 1024;

/** The class of the errors: what kind of input the file is. */
export type InputErrorClass = new (message: string) => UserError;

/**
 * Opens a regular file that holds `what` ("a safetensors file"). Throws `Failure` if it is missing, may not be read, or is a directory, device,
 * pipe or socket.
 */
export async function openRegular(
  path: string,
  what: string,
  Failure: InputErrorClass = CheckpointError,
): Promise<FileHandle> {
  let file: FileHandle | undefined;
  try {
    // Asked before opening, which has effects on some devices; and after, since the name may have got another file.
    requireRegular(await stat(path), path, what, Failure);
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    requireRegular(await file.stat(), path, what, Failure);
    return file;
  } catch (error) {
    await file?.close();
    if (error instanceof Failure) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new Failure(`${path}: expected a readable file (${reason}). Check the path and its permissions.`);
  }
}

function requireRegular(
  found: { isFile(): boolean; isDirectory(): boolean },
  path: string,
  what: string,
  Failure: InputErrorClass,
): void {
  if (found.isFile()) return;
  const kind = found.isDirectory() ? "a directory" : "a device, pipe or socket";
  throw new Failure(`${path}: expected ${what}, found ${kind}. Give the path of the file.`);
}

/** The pieces of a file as they are read. Throws `Failure` as `openRegular`. */
export async function* streamRegular(
  path: string,
  what: string,
  Failure: InputErrorClass = CheckpointError,
): AsyncGenerator<Uint8Array> {
  const file = await openRegular(path, what, Failure);
  // Closes the file when it has ended, or nobody wants more.
  yield* file.createReadStream();
}

/** Fills `bytes` from `offset` on. Throws `Failure` for a file that ends earlier. */
export async function readExactly(
  file: FileHandle,
  bytes: Uint8Array,
  offset: number,
  path: string,
  Failure: InputErrorClass = CheckpointError,
): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, Math.min(READ_BYTES, bytes.length - done), offset + done);
    if (bytesRead === 0) {
      throw new Failure(
        `${path}: expected ${bytes.length} bytes at ${offset}, found only ${done}: the file became shorter while it was read. Do not write to files in use; start again.`,
      );
    }
    done += bytesRead;
  }
}

/** The text of a file of at most `mostBytes`. Throws `Failure` as `openRegular`, and for a larger file or bad UTF-8. */
export async function readText(
  path: string,
  what: string,
  mostBytes: number,
  Failure: InputErrorClass = CheckpointError,
): Promise<string> {
  const text = decodeUtf8(await readBytes(path, what, mostBytes, Failure));
  if (text !== undefined) return text;
  throw new Failure(`${path}: expected ${what} in UTF-8, found bytes that are not. Get the file again.`);
}

/** As `readText`; undefined where nothing is at the path. */
export async function readTextIfThere(
  path: string,
  what: string,
  mostBytes: number,
  Failure: InputErrorClass = CheckpointError,
): Promise<string | undefined> {
  return (await isThere(path)) ? readText(path, what, mostBytes, Failure) : undefined;
}

/** The first bytes of a file, all or `mostBytes`; undefined where nothing is at the path. Throws `Failure` as `openRegular`. */
export async function readBeginning(
  path: string,
  what: string,
  mostBytes: number,
  Failure: InputErrorClass = CheckpointError,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (!(await isThere(path))) return undefined;
  const file = await openRegular(path, what, Failure);
  try {
    const bytes = new Uint8Array(Math.min(mostBytes, (await file.stat()).size));
    await readExactly(file, bytes, 0, path, Failure);
    return bytes;
  } finally {
    await file.close();
  }
}

/** All bytes of a file of at most `mostBytes`. Throws `Failure` as `openRegular`, and for a larger file. */
export async function readBytes(
  path: string,
  what: string,
  mostBytes: number,
  Failure: InputErrorClass = CheckpointError,
): Promise<Uint8Array<ArrayBuffer>> {
  const file = await openRegular(path, what, Failure);
  try {
    const { size } = await file.stat();
    if (size > mostBytes) throw new Failure(`${path}: expected ${what} of at most ${mostBytes} bytes, found ${size}.`);
    const bytes = new Uint8Array(size);
    await readExactly(file, bytes, 0, path, Failure);
    return bytes;
  } finally {
    await file.close();
  }
}

/** The text of `bytes`, a byte order mark left in it; undefined if they are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
