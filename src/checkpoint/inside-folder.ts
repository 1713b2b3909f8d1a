/**
 * Links in a model's folder: what they lead to must lie in the folder too, or in `blobs` of the hub's own cache, whose snapshots are all links.
 * A model of strangers could otherwise name any file of this machine, and a merge would copy it into what is published.
 */
import { realpath } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { CheckpointError } from "../errors.js";

/**
 * Where the file `name` (with slashes) of `directory` really lies. `what` it is (and, where it is asked for, `missing`) stands in the errors. Throws
 * CheckpointError for a link out of the folder and for one that leads nowhere.
 */
export async function requireInside(directory: string, name: string, what: string, missing = what): Promise<string> {
  const path = join(directory, ...name.split("/"));
  const folder = await realpath(directory);
  const target = await realpath(path).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CheckpointError(
      `${path}: expected ${missing}, found no such file (${reason}). Get the complete checkpoint.`,
    );
  });
  if (parentsOf(folder).some((parent) => target.startsWith(parent.endsWith(sep) ? parent : parent + sep)))
    return target;
  throw new CheckpointError(
    `${path}: expected ${what} inside the folder, found a link to ${target}. Copy the file into the folder.`,
  );
}

/** `models--org--name/snapshots/<commit>` links into `models--org--name/blobs`. */
function parentsOf(folder: string): readonly string[] {
  const isSnapshot = basename(dirname(folder)) === "snapshots";
  return isSnapshot ? [folder, join(folder, "..", "..", "blobs")] : [folder];
}
