/**
 * The repositories that the fake hub serves, from a directory tree: `models/<org>/<name>/` and `datasets/<org>/<name>/` are `main`,
 * `<name>@<revision>` beside them another revision. A commit is the sha1 of names and contents, so an edited file is a new commit.
 * A file that is large, or of a format the hub keeps in LFS, is listed as such.
 */
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";

export interface ServedFile {
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** git's sha1 of the blob; of the pointer for a file in LFS. */
  readonly oid: string;
  /** sha256 of a file in LFS. */
  readonly lfs: string | undefined;
}

export interface ServedRevision {
  readonly commit: string;
  readonly files: readonly ServedFile[];
}

const LFS_FORMATS = /\.(?:safetensors|parquet|bin)$/;
const LFS_BYTES = 10_000_000;
/** The hub's are 130 or so. */
export const POINTER_BYTES = 130;

/** What `root` holds of a repository at a revision (a commit that was served before, too). Contents are hashed once per change. */
export function openRepositories(root: string) {
  const commits = new Map<string, ServedRevision>();
  const hashed = new Map<string, ServedFile>();

  const describe = async (folder: string, path: string): Promise<ServedFile> => {
    const { size, mtimeMs } = await stat(path);
    const key = `${path} ${size} ${mtimeMs}`;
    const found =
      hashed.get(key) ?? describeContent(relative(folder, path).replaceAll(sep, "/"), path, await readFile(path));
    hashed.set(key, found);
    return found;
  };

  const revision = async (type: string, id: string, name: string): Promise<ServedRevision | undefined> => {
    const known = commits.get(`${type}/${id}@${name}`);
    if (known !== undefined) return known;
    const folder = join(root, type, name === "main" ? id : `${id}@${name.replaceAll("/", "+")}`);
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => undefined);
    if (entries === undefined) return undefined;
    const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    const files: ServedFile[] = [];
    for (const path of paths.toSorted()) files.push(await describe(folder, path));
    const commit = sha1(files.map((file) => `${file.name} ${file.lfs ?? file.oid}\n`).join(""));
    const served = { commit, files };
    commits.set(`${type}/${id}@${commit}`, served);
    return served;
  };

  const exists = async (type: string, id: string) =>
    (await stat(join(root, type, id)).catch(() => undefined)) !== undefined;
  return { revision, exists };
}

function describeContent(name: string, path: string, content: Buffer): ServedFile {
  const isLarge = LFS_FORMATS.test(name) || content.length > LFS_BYTES;
  const lfs = isLarge ? createHash("sha256").update(content).digest("hex") : undefined;
  const stored =
    lfs === undefined
      ? content
      : Buffer.from(`version https://git-lfs.github.com/spec/v1\noid sha256:${lfs}\nsize ${content.length}\n`);
  const oid = createHash("sha1").update(`blob ${stored.length}\0`).update(stored).digest("hex");
  return { name, path, sizeBytes: content.length, oid, lfs };
}

function sha1(text: string): string {
  return createHash("sha1").update(text).digest("hex");
}
