/** Where what a suite names lies: in a directory, or in a repository on the hub. Looks at the disk; opens nothing. */
import { stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { formatUri, HUB_SCHEME, parseReference, parseUri, type RepositoryType } from "../checkpoint/hub/reference.js";
import { leftOut, shippedFiles } from "../config/shipped-files.js";
import { DataError } from "../errors.js";
import { nearestFew } from "../runtime/nearest.js";

/** Names in an error. */
const MAX_NEAR = 4;

/** What has to exist, and where the suite says so. */
export interface WantedPath {
  /** `file:line: key`. */
  readonly place: string;
  /** Absolute, or a URI of the hub, which is not looked for. */
  readonly path: string;
  /** The folder that it was relative to. */
  readonly folder: string;
  readonly what: "a checkpoint" | "the directory of a data set" | "the file of a head";
}

const KINDS = {
  "a checkpoint": ["folder", "file"],
  "the directory of a data set": ["folder"],
  "the file of a head": ["file"],
} as const satisfies Record<WantedPath["what"], readonly string[]>;

/** The suite's file, from itself or from its folder. Throws DataError when there is none. */
export async function findSuiteFile(path: string): Promise<string> {
  const kind = await kindOf(path);
  const file = kind === "folder" ? join(path, "suite.yaml") : path;
  if (kind !== undefined && (await kindOf(file)) === "file") return file;
  const found = kind === "folder" ? "a directory without suite.yaml" : "nothing there";
  const near = nearestFew(basename(path), (await shippedFiles("suite")).keys(), MAX_NEAR);
  const names = near.length === 0 ? "" : `, or take one that ships with adamerge: ${near.join(", ")}`;
  const advice = leftOut(path) || `; check the suite's path${names}`;
  throw new DataError(`${path}: expected the directory of a suite (with a suite.yaml), found ${found}${advice}`);
}

/**
 * The absolute path, or the URI of a repository on the hub. What exists is a path, and so is what lies in a folder that exists: a
 * missing file of the suite is not looked for on the hub, unless `hf://` says that it is there.
 */
export async function locateOnHub(text: string, type: RepositoryType, folder: string): Promise<string> {
  const path = resolve(folder, text);
  const reference = parseReference(text, type);
  if (reference === undefined) return path;
  const isPath = (await kindOf(path)) !== undefined || (await kindOf(dirname(path))) !== undefined;
  return isPath && !text.startsWith(HUB_SCHEME) ? path : formatUri(reference);
}

/** Throws DataError with every path that does not exist, or is not what it should be. `suiteName` is the suite's file. */
export async function checkPaths(wanted: readonly WantedPath[], suiteName: string): Promise<void> {
  const problems: string[] = [];
  for (const { place, path, folder, what } of wanted) {
    const kind = await kindOf(path);
    const kinds: readonly string[] = KINDS[what];
    if (parseUri(path) !== undefined || (kind !== undefined && kinds.includes(kind))) continue;
    const found = kind === undefined ? "nothing" : `a ${kind}`;
    problems.push(`${place}: expected ${what}, found ${found} at ${path}${hubAdvice(path, folder, what)}`);
  }
  if (problems.length === 0) return;
  const advice = `check the paths (they are relative to ${suiteName}) or build or download the suite`;
  throw new DataError(`${problems.join("\n")}\n${advice}`);
}

/** What would have made a missing path a repository on the hub, if its form can be one. */
function hubAdvice(path: string, folder: string, what: WantedPath["what"]): string {
  const text = relative(folder, path).replaceAll(sep, "/");
  const reference = parseReference(text, what === "the directory of a data set" ? "dataset" : "model");
  if (reference === undefined || what === "the file of a head") return "";
  return ` (a path, since its folder is there; for the repository on the hub write ${formatUri(reference)})`;
}

async function kindOf(path: string): Promise<"folder" | "file" | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  return found.isDirectory() ? "folder" : "file";
}
