/** The hash by which the hub knows a file's content: sha256 for large files (LFS), git's sha1 of a blob for the others. */
import { createHash } from "node:crypto";
import type { HubFile } from "./listing.js";

const SHA1_LENGTH = 40;

export interface ContentHash {
  update(bytes: Uint8Array): void;
  /** Of all that was given; ends it. */
  hex(): string;
}

/** A hash of the kind of `file.hash`, fed with the content from its beginning. */
export function contentHash({ hash, sizeBytes }: Pick<HubFile, "hash" | "sizeBytes">): ContentHash {
  const isSha1 = hash.length === SHA1_LENGTH;
  const state = createHash(isSha1 ? "sha1" : "sha256");
  if (isSha1) state.update(`blob ${sizeBytes}\0`);
  return { update: (bytes) => void state.update(bytes), hex: () => state.digest("hex") };
}
