/**
 * What files a repository has at one commit: name, size and hash of each, as the hub's tree listing says. Listings come from the
 * hub or from the cache (`trees/<commit>.json`, the file in which Python's tools keep them) and are not trusted: names become paths.
 */
import { z } from "zod";
import { HubError } from "../../errors.js";
import { parseBoundedJson } from "../../runtime/bounded-json.js";
import { printable } from "../../runtime/printable.js";

export interface HubFile {
  /** Path in the repository, with slashes; checked by `checkFileName`. */
  readonly name: string;
  readonly sizeBytes: number;
  /** What its content hashes to: sha256 for large files (LFS), git's sha1 of a blob for the others. Names the blob in the cache. */
  readonly hash: string;
  /** git's sha1 of the blob, which for a large file is that of its pointer. */
  readonly blobId: string;
  readonly xetHash: string | undefined;
}

/** More than any repository that is read here; a bound on what a server can make us keep. */
export const MAX_FILES = 100_000;
const MAX_NAME_LENGTH = 1000;
/** The longest part of a path that file systems take. */
const MAX_PART_LENGTH = 255;
const FORMAT_VERSION = 1;

const size = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const sha1 = z.string().regex(/^[0-9a-f]{40}$/, "a sha1");
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "a sha256");

/** One entry of the hub's tree listing; the parts that are used. */
const entrySchema = z.object({
  type: z.string(),
  path: z.string(),
  size,
  oid: sha1,
  lfs: z.object({ oid: sha256, size }).optional(),
  xetHash: sha256.optional(),
});

const storedSchema = z.object({
  format_version: z.literal(FORMAT_VERSION),
  files: z.record(
    z.string(),
    z.object({
      size,
      blob_id: sha1,
      lfs_sha256: sha256.optional(),
      lfs_size: size.nullish(),
      xet_hash: sha256.optional(),
    }),
  ),
});

/** One entry of the hub's answer; undefined for a folder. Throws HubError, said of `where`, for anything else. */
export function parseEntry(value: unknown, where: string): HubFile | undefined {
  const parsed = entrySchema.safeParse(value);
  if (!parsed.success) {
    if (typeof value === "object" && value !== null && "type" in value && value.type === "directory") return undefined;
    const [issue] = parsed.error.issues;
    throw new HubError(
      `${where}: expected a listing of files from the hub, found an entry of another form (${issue?.path.join(".")}: ${issue?.message}); check HF_ENDPOINT`,
    );
  }
  const { type, path, oid, lfs, xetHash, size: plainSize } = parsed.data;
  if (type !== "file") return undefined;
  checkFileName(path, where);
  return { name: path, sizeBytes: lfs?.size ?? plainSize, hash: lfs?.oid ?? oid, blobId: oid, xetHash };
}

/**
 * Throws HubError unless `name` stays inside a folder on every system: no `..`, nothing absolute, no backslash, no drive letter, no
 * control characters.
 */
export function checkFileName(name: string, where: string): void {
  const parts = name.split("/");
  const isPlain =
    name.length <= MAX_NAME_LENGTH &&
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
    !/[\\:\u0000-\u001f\u007f]/.test(name) &&
    parts.every((part) => part !== "" && part !== "." && part !== ".." && Buffer.byteLength(part) <= MAX_PART_LENGTH);
  if (isPlain) return;
  throw new HubError(
    `${where}: expected names of files inside the repository, found ${JSON.stringify(printable(name.slice(0, 80)))}; nothing of it is downloaded. Do not use this repository`,
  );
}

/** The text of `trees/<commit>.json`. */
export function listingText(files: readonly HubFile[]): string {
  const entries = files.map(({ name, sizeBytes, hash, blobId, xetHash }) => {
    const large = hash === blobId ? {} : { lfs_sha256: hash, lfs_size: sizeBytes };
    return [name, { size: sizeBytes, blob_id: blobId, ...large, ...(xetHash ? { xet_hash: xetHash } : {}) }] as const;
  });
  const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify({ format_version: FORMAT_VERSION, files: Object.fromEntries(sorted) }, undefined, 1);
}

/** Reads `trees/<commit>.json`; undefined for one of another version, a damaged one, or names that are not plain. */
export function parseListing(text: string): readonly HubFile[] | undefined {
  let json: unknown;
  try {
    json = parseBoundedJson(text);
  } catch {
    return undefined;
  }
  const parsed = storedSchema.safeParse(json);
  if (!parsed.success) return undefined;
  const files = Object.entries(parsed.data.files).map(([name, file]) => ({
    name,
    sizeBytes: file.lfs_size ?? file.size,
    hash: file.lfs_sha256 ?? file.blob_id,
    blobId: file.blob_id,
    xetHash: file.xet_hash,
  }));
  try {
    for (const { name } of files) checkFileName(name, "trees");
  } catch {
    return undefined;
  }
  return files;
}
