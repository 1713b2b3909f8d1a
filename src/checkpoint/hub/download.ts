/**
 * One file of a repository into the cache's blobs: under a lock, into an unfinished file that the next attempt (or the next process)
 * goes on with, checked against the hub's hash, and renamed only then. What is wrong or half never gets the name of a blob.
 */
import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { HubError } from "../../errors.js";
import { withAdvice } from "../../runtime/atomic-file.js";
import { waitForLock } from "../../runtime/lock.js";
import { makeFolder } from "../../runtime/make-folder.js";
import { blobPath, lockPath, sizeOf } from "./cache.js";
import { type ContentHash, contentHash } from "./content-hash.js";
import type { HubFile } from "./listing.js";
import type { HubReference } from "./reference.js";
import { fileQuestion } from "./repository.js";
import { type Answer, ask, type Hub, type Question, TemporaryFailure, withRetries } from "./request.js";

const READ_BYTES = 4 * 1024 * 1024;

/** A file to be had, and where it is told how many bytes came (or, below zero, had to be dropped). */
export interface Download {
  readonly reference: HubReference;
  readonly commit: string;
  readonly file: HubFile;
  readonly onBytes: (bytes: number) => void;
}

interface Partial {
  readonly path: string;
  readonly file: FileHandle;
  /** Of the bytes before `position`. */
  hash: ContentHash;
  position: number;
}

/**
 * The name of an unfinished blob. Python's tools call theirs `<hash>.<random>.incomplete`; ours keeps its name so that it can be gone
 * on with, and is no file that another tool would write into.
 */
export function incompletePath(blob: string): string {
  return `${blob}.adamerge.incomplete`;
}

/**
 * Brings a file's content into the cache, unless it is there. Throws HubError for content that is not what the hub lists or cannot be
 * had, UserError for a disk that refuses; what came so far is kept in both cases if it may still be right.
 */
export async function downloadBlob(hub: Hub, download: Download): Promise<void> {
  const { reference, file } = download;
  const question = fileQuestion(hub, reference, download.commit, file.name);
  const blob = blobPath(hub.cacheDir, reference, file.hash);
  const lockFile = lockPath(hub.cacheDir, reference, file.hash);
  try {
    await makeFolder(dirname(blob));
    await makeFolder(dirname(lockFile));
  } catch (error) {
    throw withAdvice(error, blob);
  }
  const lock = await waitForLock(lockFile, question.what, { signal: hub.signal, onWait: hub.log });
  try {
    if ((await sizeOf(blob)) === file.sizeBytes) return download.onBytes(file.sizeBytes);
    await withRetries(hub, question.what, (progress) => fetchRest(hub, question, download, blob, progress));
  } finally {
    await lock.release();
  }
}

/** What is missing of the unfinished file, the check, and the name. */
async function fetchRest(
  hub: Hub,
  question: Question,
  download: Download,
  blob: string,
  progress: () => void,
): Promise<void> {
  const path = incompletePath(blob);
  // Another kind of file under this name (a link, a device) would be written through.
  const flags = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
  const file = await open(path, flags, 0o666).catch((error: unknown) => {
    throw withAdvice(error, path);
  });
  let begun = 0;
  try {
    const partial = await readPartial(path, file, download);
    begun = partial.position;
    if (partial.position < download.file.sizeBytes) await receive(hub, question, download, partial, progress);
    if (partial.hash.hex() !== download.file.hash) {
      await file.truncate(0);
      download.onBytes(-partial.position);
      throw wrongContent(question, begun);
    }
    await file.sync();
  } catch (error) {
    throw withAdvice(error, path);
  } finally {
    await file.close();
    if ((await sizeOf(path)) === 0 && download.file.sizeBytes > 0) await rm(path, { force: true });
  }
  await rename(path, blob).catch((error: unknown) => {
    throw withAdvice(error, blob);
  });
}

/** Bytes of an earlier attempt may be what is wrong: then once more from the beginning. */
function wrongContent({ what }: Question, begun: number): Error {
  const found = "its content is not what the hub lists (the hash differs)";
  if (begun > 0) return new TemporaryFailure(`${found}, with ${begun} bytes of an earlier start; from the beginning`);
  return new HubError(
    `${what}: ${found}; nothing of it is kept. Try again; if it stays so, check what is between here and the hub`,
  );
}

/** Hashes what an earlier attempt left. */
async function readPartial(path: string, file: FileHandle, { file: wanted, onBytes }: Download): Promise<Partial> {
  const hash = contentHash(wanted);
  const found = await file.stat();
  if (!found.isFile()) throw new HubError(`${path}: expected an unfinished file, found something else; remove it`);
  if (found.size > wanted.sizeBytes) await file.truncate(0);
  const sizeBytes = found.size > wanted.sizeBytes ? 0 : found.size;
  const buffer = new Uint8Array(Math.min(READ_BYTES, sizeBytes));
  let position = 0;
  while (position < sizeBytes) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, sizeBytes - position), position);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
  onBytes(position);
  return { path, file, hash, position };
}

/** Asks for the bytes from `position` on and writes them. */
async function receive(
  hub: Hub,
  question: Question,
  { file, onBytes }: Download,
  partial: Partial,
  progress: () => void,
): Promise<void> {
  const rangeFrom = partial.position > 0 ? { range: `bytes=${partial.position}-` } : {};
  // Counted again from the file when the attempt is repeated.
  let counted = partial.position;
  const answer = await ask(hub, { ...question, headers: rangeFrom }).catch((error: unknown) => {
    onBytes(-counted);
    throw error;
  });
  try {
    if (!continues(answer, partial.position, file.sizeBytes)) {
      await partial.file.truncate(0);
      if (answer.status !== 200) throw new TemporaryFailure("the hub does not go on where the file ends");
      onBytes(-counted);
      counted = 0;
      partial.position = 0;
      partial.hash = contentHash(file);
    }
    for await (const piece of answer.body) {
      if (partial.position + piece.byteLength > file.sizeBytes) {
        await partial.file.truncate(0);
        throw new HubError(`${question.what}: expected ${file.sizeBytes} bytes, found more; nothing of it is kept`);
      }
      await writeAll(partial.file, piece, partial.position);
      partial.hash.update(piece);
      partial.position += piece.byteLength;
      counted += piece.byteLength;
      onBytes(piece.byteLength);
      progress();
    }
    if (partial.position < file.sizeBytes)
      throw new TemporaryFailure(`cut off after ${partial.position} of ${file.sizeBytes} bytes`);
  } catch (error) {
    onBytes(-counted);
    throw error;
  } finally {
    answer.close();
  }
}

/** Whether the answer begins at `position`: the whole file, or the range that was asked for. */
function continues({ status, headers }: Answer, position: number, sizeBytes: number): boolean {
  if (status === 200) return position === 0;
  return status === 206 && headers.get("content-range") === `bytes ${position}-${sizeBytes - 1}/${sizeBytes}`;
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, position + done);
    done += bytesWritten;
  }
}
