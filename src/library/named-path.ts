/**
 * Names and paths that a person gave for a base, experts, data, heads and classes: checked, and made what suites have. By name, or as on the command
 * line: `NAME=PATH`, or a folder with something for each expert, which has the name that it has there.
 */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { parseReference } from "../checkpoint/hub/reference.js";
import { ConfigError } from "../errors.js";
import type { Named } from "../run/init/init-suite.js";

/** Paths by the names of experts; or a list of `NAME=PATH` and of folders that hold something for each expert, as on the command line. */
export type NamedPaths = Readonly<Record<string, string>> | readonly string[];

/** How errors call the option, and where its relative paths begin. */
interface Place {
  readonly option: string;
  readonly cwd: string;
}

/** Files and folders that a folder of models may hold. */
const MODELS = /\.(safetensors|pt|pth|bin)$/;
/** Files that a folder of data may hold. */
export const TABLES = /\.(?:(?:csv|tsv|jsonl|ndjson|json)(?:\.gz)?|parquet)$/;
/** A folder with one of these is a model or a run, not a folder of models. */
const IN_A_MODEL = /^(config\.json|status\.json|model.*\.safetensors.*|pytorch_model.*|(linearized_)?adapter_.*)$/;
/** In the place of a head's path. */
const ZERO_SHOT = "=zero-shot";

/** Of models, which may be on the hub. Throws ConfigError for a name or path that is none. */
export function modelPaths(place: Place, given: NamedPaths): Promise<Named[]> {
  return allOf(place, given, { find: modelPath, fileName: MODELS, single: IN_A_MODEL });
}

/** Of anything else; `fileName`: the ending of what counts in a folder. Throws ConfigError. */
export async function namedPaths(place: Place, given: NamedPaths | undefined, fileName: RegExp): Promise<Named[]> {
  return given === undefined ? [] : allOf(place, given, { find: existingPath, fileName });
}

/** Files of heads, and the experts whose heads are made of the classes' names. Throws ConfigError. */
export async function headPaths(
  place: Place,
  given: Readonly<Record<string, string | { readonly zeroShot: true }>> | readonly string[] = [],
): Promise<{ readonly heads: readonly Named[]; readonly zeroShot: readonly string[] }> {
  const made: string[] = [];
  if (isList(given)) {
    const isMade = (text: string) => text.endsWith(ZERO_SHOT) && text.length > ZERO_SHOT.length;
    const files = given.filter((text) => !isMade(text));
    made.push(...given.filter(isMade).map((text) => text.slice(0, -ZERO_SHOT.length)));
    return { heads: await namedPaths(place, files, MODELS), zeroShot: made.map((name) => taskName(place, name)) };
  }
  const files = new Map<string, string>();
  for (const [task, head] of Object.entries(given))
    if (typeof head === "string") files.set(task, head);
    else made.push(task);
  const heads = await namedPaths(place, Object.fromEntries(files), MODELS);
  return { heads, zeroShot: made.map((name) => taskName(place, name)) };
}

interface Finding {
  readonly find: typeof existingPath;
  readonly fileName: RegExp;
  /** What makes a folder a thing of its own, not a folder of things. */
  readonly single?: RegExp;
}

async function allOf(place: Place, given: NamedPaths, how: Finding): Promise<Named[]> {
  if (!isList(given)) {
    const entries = Object.entries(given);
    return Promise.all(
      entries.map(async ([name, where]) => ({ name: taskName(place, name), path: await how.find(place, where) })),
    );
  }
  const named: Named[] = [];
  for (const text of given) {
    const [, name, value] = /^([^=/\\]+)=(.+)$/.exec(text) ?? [];
    if (name !== undefined && value !== undefined)
      named.push({ name: taskName(place, name), path: await how.find(place, value) });
    else named.push(...(await inFolder(place, text, how)));
  }
  return named;
}

/** What is in a folder, by the names there; or the folder itself. */
async function inFolder(place: Place, text: string, { fileName, single }: Finding): Promise<Named[]> {
  const folder = await existingPath(place, text);
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  if (single !== undefined && entries.some((entry) => single.test(entry.name)))
    return [{ name: taskName(place, path.basename(folder)), path: folder }];
  const inside = entries.filter(
    (entry) => !entry.name.startsWith(".") && (!entry.isFile() || fileName.test(entry.name)),
  );
  if (inside.length === 0)
    throw new ConfigError(
      `${place.option} ${text}: expected NAME=PATH, or a folder with something for each expert, found neither`,
    );
  const found = inside.map(({ name }) => ({
    name: taskName(place, name.replace(fileName, "")),
    path: path.join(folder, name),
  }));
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function isList(given: NamedPaths | Readonly<Record<string, unknown>>): given is readonly string[] {
  return Array.isArray(given);
}

/** `text` as the name of an expert. */
function taskName({ option }: Place, text: string): string {
  const name = slug(text);
  if (name !== "") return name;
  throw new ConfigError(`${option} ${text}: expected a name with letters or digits, found ${JSON.stringify(text)}`);
}

/** As names in a suite are: small letters, digits and dashes. */
export function slug(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
}

/** The absolute path, or the text where it can only mean a repository on the hub. Throws ConfigError. */
export async function modelPath(place: Place, text: string): Promise<string> {
  const absolute = path.resolve(place.cwd, text);
  const isThere = (await stat(absolute).catch(() => undefined)) !== undefined;
  const isInFolder = (await stat(path.dirname(absolute)).catch(() => undefined)) !== undefined;
  if (!isThere && !isInFolder && parseReference(text, "model") !== undefined) return text;
  return existingPath(place, text);
}

/** The absolute path of what is there. */
async function existingPath({ option, cwd }: Place, text: string): Promise<string> {
  const absolute = path.resolve(cwd, text);
  if ((await stat(absolute).catch(() => undefined)) !== undefined) return absolute;
  throw new ConfigError(`${option} ${text}: expected an existing path, found nothing at ${absolute}; check the path`);
}
