/**
 * Reading files that we wrote ourselves, long ago or yesterday: JSON checked against its schema, and logs of one object a line. A file that
 * was damaged since is an error of the user's kind that names it, what it should hold and what to do. Not for foreign formats, which have
 * readers of their own.
 */

import { gunzipSync } from "node:zlib";
import type { z } from "zod";
import { ConfigError } from "../errors.js";
import { parseBoundedJson } from "./bounded-json.js";
import { isThere } from "./is-there.js";
import { decodeUtf8, type InputErrorClass, readBytes, readText } from "./regular-file.js";

/** Far above what we write (predictions of millions of images), and what a text in memory may be. */
const MOST_BYTES = 2 ** 28;
/** A log has a line for each step. */
const MOST_LOG_BYTES = 2 ** 30;
/** Mistakes that a message lists: a file of another kind has as many as it has keys. */
const MOST_MISTAKES = 3;
const NEWLINE = 10;

export interface JsonKind<T> {
  /** "the status of a run" */
  readonly what: string;
  readonly schema: z.ZodType<T>;
  /** What to do about a file that is none. */
  readonly advice: string;
  readonly Failure?: InputErrorClass;
}

/** The file's value; a name in `.gz` is one of compressed text. Throws `Failure` (ConfigError) for a file that is missing, no regular one, no JSON or of another form. */
export async function readJsonFile<T>(path: string, kind: JsonKind<T>): Promise<T> {
  const Failure = kind.Failure ?? ConfigError;
  if (!path.endsWith(".gz")) return parseJsonText(await readText(path, kind.what, MOST_BYTES, Failure), path, kind);
  const compressed = await readBytes(path, kind.what, MOST_BYTES, Failure);
  let text: string;
  try {
    text = gunzipSync(compressed, { maxOutputLength: MOST_BYTES }).toString("utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Failure(
      `${path}: expected ${kind.what}, compressed, found what gzip cannot read (${reason}); ${kind.advice}`,
    );
  }
  return parseJsonText(text, path, kind);
}

/** As `readJsonFile`; undefined for a file that is missing. */
export async function readJsonFileIfThere<T>(path: string, kind: JsonKind<T>): Promise<T | undefined> {
  return (await isThere(path)) ? readJsonFile(path, kind) : undefined;
}

/** As `readJsonFile`, of its text; `label` is the file as shown to people. */
export function parseJsonText<T>(text: string, label: string, { what, schema, advice, Failure }: JsonKind<T>): T {
  const fail = (found: string): Error =>
    new (Failure ?? ConfigError)(`${label}: expected ${what}, found ${found}; ${advice}`);
  let json: unknown;
  try {
    json = parseBoundedJson(text);
  } catch (error) {
    throw fail(text.trim() === "" ? "an empty file" : `no JSON (${error instanceof Error ? error.message : error})`);
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const mistakes = result.error.issues
    .slice(0, MOST_MISTAKES)
    .map(({ path, message }) => `${path.map(String).join(".") || "the file"}: ${message}`);
  throw fail(`another form (${mistakes.join("; ")})`);
}

/**
 * The objects of a log, one a line; none when there is no log. A last line without its end is being written, or was cut off; other lines that
 * are no objects are damaged: they are left out, and `log` is told how many. Throws ConfigError for what is no regular file.
 */
export async function readJsonLines(
  path: string,
  what: string,
  log: (line: string) => void,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  if (!(await isThere(path))) return [];
  const bytes = await readBytes(path, what, MOST_LOG_BYTES, ConfigError);
  const objects: Readonly<Record<string, unknown>>[] = [];
  const damaged: number[] = [];
  let number = 0;
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, start);
    const object = objectOf(bytes.subarray(start, end < 0 ? undefined : end));
    number += 1;
    if (object !== undefined) objects.push(object);
    else if (end >= 0 && end > start) damaged.push(number);
    if (end < 0) break;
    start = end + 1;
  }
  if (damaged.length > 0)
    log(
      `warning: ${path}: ${damaged.length} of ${number} lines are damaged and left out (the first is line ${damaged[0]})`,
    );
  return objects;
}

function objectOf(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = parseBoundedJson(decodeUtf8(bytes) ?? "");
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
