/**
 * Stores files where a run's or model's artifact URI says: through the server, or in a directory of this machine. The URI is the server's word, and
 * the directory is the person's to name: nothing is written outside it, over anything, or through a link.
 */
import { createHash, randomUUID } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { copyFile, link, lstat, mkdir, realpath, rename, rm } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { printable, quote } from "../../runtime/printable.js";
import { isProxied, type MlflowClient } from "./client.js";
import type { LocalFile } from "./request.js";

/** Names the directory below which a server may have files put on this machine. */
export const ARTIFACT_ROOT_VARIABLE = "ADAMERGE_ARTIFACT_ROOT";

/** Why a file was not stored, in a sentence; undefined when it was. */
export type NotStored = string | undefined;

/**
 * Stores one file, or says why not: then the run's files stay where they are, and nothing else is amiss. `before` is the SHA-256 of what was
 * delivered under this name earlier. Throws TrackerError.
 */
export async function storeArtifact(
  client: MlflowClient,
  artifactUri: string,
  name: string,
  file: LocalFile,
  before?: string,
): Promise<NotStored> {
  if (isProxied(artifactUri)) {
    // Whatever host the URI has: it goes to the server that the person named.
    await client.uploadArtifact(artifactUri, name, file);
    return undefined;
  }
  const directory = directoryOf(artifactUri);
  if (directory === undefined)
    return "adamerge writes to no such store. Start the server with --serve-artifacts to have the files delivered through it";
  const root = client.artifactRoot;
  if (root === undefined)
    return `the server asks for files in a directory of this machine, which is only done below one that you name. Set ${ARTIFACT_ROOT_VARIABLE} to it, or start the server with --serve-artifacts`;
  return storeBelow(root, path.join(directory, name), file, before);
}

/** The directory that a `file:` URI or a path stands for; undefined for other schemes. */
function directoryOf(artifactUri: string): string | undefined {
  if (path.isAbsolute(artifactUri)) return path.normalize(artifactUri);
  try {
    return artifactUri.startsWith("file:") ? path.normalize(fileURLToPath(artifactUri)) : undefined;
  } catch {
    // Of another host, or with an encoded slash.
    return undefined;
  }
}

/** Copies the file to `target` if that lies below `root` on the disk, and is not there. */
async function storeBelow(
  root: string,
  target: string,
  file: LocalFile,
  before: string | undefined,
): Promise<NotStored> {
  const outside = `that is outside ${root}, the only place where files may be put (${ARTIFACT_ROOT_VARIABLE})`;
  try {
    const real = await realpath(root);
    const inside = [root, real].map((above) => path.relative(above, target)).find((below) => !isAbove(below));
    if (inside === undefined || inside === "") return outside;
    // One folder after another: a link below the root leads out of it.
    let folder = real;
    for (const part of path
      .dirname(inside)
      .split(path.sep)
      .filter((each) => each !== ".")) {
      folder = path.join(folder, part);
      await mkdir(folder).catch((error: unknown) => {
        if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      });
      if (!(await lstat(folder)).isDirectory()) return `${quote(folder)} is no folder (a link, or a file)`;
    }
    if (isAbove(path.relative(real, await realpath(folder)))) return outside;
    return await copyNew(file, path.join(folder, path.basename(target)), before);
  } catch (error) {
    return `this machine could not write there (${error instanceof Error ? error.message : String(error)})`;
  }
}

function isAbove(relative: string): boolean {
  return relative.split(path.sep)[0] === ".." || path.isAbsolute(relative);
}

/** A file that is there is not replaced, unless it is what we delivered `before`; the same content counts as stored. */
async function copyNew(file: LocalFile, target: string, before: string | undefined): Promise<NotStored> {
  const temporary = path.join(path.dirname(target), `.${randomUUID().slice(0, 8)}.tmp`);
  try {
    await copyFile(file.path, temporary, constants.COPYFILE_EXCL);
    await link(temporary, target);
    return undefined;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    const found = (await lstat(target)).isFile() ? await sha256Of(target) : undefined;
    if (found !== undefined && found === (await sha256Of(temporary))) return undefined;
    if (found === undefined || found !== before) return `${quote(target)} is there already and is not replaced`;
    await rename(temporary, target);
    return undefined;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(file)) hash.update(piece);
  return hash.digest("hex");
}

/** What to tell when nothing can be stored there. The URI is the server's text. */
export function unreachableStore(artifactUri: string, folder: string, why: string): string {
  return `${printable(artifactUri)}: the server keeps artifacts there: ${why}. Until then the files stay in ${folder}`;
}
