/**
 * What ships with the package and is found by name from any folder: configs, presets, merge files, sweeps, experiments and suites. A name is the
 * file's without its ending; a suite's is that of its folder (`mini8`), or folder and file. What people typed is a file of theirs
 * first, relative to the folder they are in. Looks at the disk and reads nothing; results never lie beside what is found here.
 */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { ConfigError } from "../errors.js";
import { nearestFew } from "../runtime/nearest.js";

/** The installed package, or the source tree: this file lies two folders below it in either. */
export const PACKAGE = fileURLToPath(new URL("../..", import.meta.url));

const KINDS = {
  config: { folder: "configs", one: "a config" },
  preset: { folder: "configs/presets", one: "a preset" },
  merge: { folder: "configs/merges", one: "a merge file" },
  sweep: { folder: "configs/sweeps", one: "a sweep" },
  experiment: { folder: "experiments", one: "an experiment" },
  suite: { folder: "datasets", one: "a suite" },
} as const;

export type ShippedKind = keyof typeof KINDS;

const YAML_ENDING = /\.ya?ml$/;
/** In an error, of names that may have been meant. */
const MAX_NEAR = 6;

/** Name to absolute path of all of one kind, in the order of their names; `folder` instead of the package's own. */
export async function shippedFiles(kind: ShippedKind, folder?: string): Promise<ReadonlyMap<string, string>> {
  const root = folder ?? path.join(PACKAGE, KINDS[kind].folder);
  const found = kind === "suite" ? await suitesIn(root) : await filesIn(root);
  return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function filesIn(folder: string): Promise<[name: string, path: string][]> {
  const files = await readdir(folder).catch(() => []);
  return files
    .filter((file) => YAML_ENDING.test(file))
    .map((file) => [file.replace(YAML_ENDING, ""), path.join(folder, file)]);
}

async function suitesIn(root: string): Promise<[name: string, path: string][]> {
  const folders = await readdir(root).catch(() => []);
  const all = folders.map(async (folder) =>
    (await filesIn(path.join(root, folder))).map(([name, file]): [string, string] =>
      name === "suite" ? [folder, path.join(root, folder)] : [`${folder}/${name}`, file],
    ),
  );
  return (await Promise.all(all)).flat();
}

/** The folder of a suite that ships, or its file, when nothing lies at `given` in `folder`; else the absolute path. */
export async function suitePath(given: string, folder: string): Promise<string> {
  const own = path.resolve(folder, given);
  if ((await stat(own).catch(() => undefined)) !== undefined) return own;
  return (await shippedFiles("suite")).get(given) ?? own;
}

/** For errors about something that is not there: what to do when it belongs to a suite of the package, which has only a part of each. */
export function leftOut(place: string): string {
  const inSuites = path.relative(path.join(PACKAGE, KINDS.suite.folder), place);
  if (inSuites.startsWith("..") || path.isAbsolute(inSuites)) return "";
  return "; the package holds of a suite what its quickstart needs, and the project's source tree all of it";
}

/**
 * The file that people mean by `given`: theirs, else the first of `kinds` that ships under this name. A path without a file is returned as it is,
 * for its reader to say so. Throws ConfigError with the nearest names when it can only be a name, or when what the path names ships elsewhere.
 */
export async function findShipped(
  given: string,
  cwd: string,
  kinds: readonly ShippedKind[],
  folder?: string,
): Promise<string> {
  const own = path.resolve(cwd, given);
  const there = await stat(own).catch(() => undefined);
  if (there !== undefined && !there.isDirectory()) return own;
  const shipped = await Promise.all(kinds.map((kind) => shippedFiles(kind, folder)));
  const found = shipped.map((files) => files.get(given)).find((file) => file !== undefined);
  if (found !== undefined) return found;
  if (there !== undefined) return own;
  const names = [...new Set(shipped.flatMap((files) => [...files.keys()]))];
  const [kind = "config"] = kinds;
  const { one } = KINDS[kind];
  if (path.basename(given) !== given || YAML_ENDING.test(given)) {
    const name = path.basename(given).replace(YAML_ENDING, "");
    if (!names.includes(name)) return own;
    throw new ConfigError(
      `${given}: expected ${one}, found no such file; the one that ships with adamerge is called ${name}`,
    );
  }
  const beside = (await readdir(cwd).catch(() => [])).filter((file) => YAML_ENDING.test(file));
  const near = nearestFew(given, [...beside, ...names], MAX_NEAR);
  throw new ConfigError(
    `${given}: expected the file of ${one}, or the name of one that ships with adamerge, found neither; ${
      near.length > 0 ? `did you mean ${near.join(", ")}?` : `known names: ${names.join(", ") || "none"}`
    }`,
  );
}
