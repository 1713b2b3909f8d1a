/** Names and paths that a person gave for an expert, a base or data: checked, and made what suites have. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { parseReference } from "../checkpoint/hub/reference.js";
import { ConfigError } from "../errors.js";

/** `text` as the name of an expert. Throws ConfigError, beginning with `where`, when nothing is left of it. */
export function taskName(where: string, text: string): string {
  const name = slug(text);
  if (name !== "") return name;
  throw new ConfigError(`${where} ${text}: expected a name with letters or digits, found ${JSON.stringify(text)}`);
}

/** As names in a suite are: small letters, digits and dashes. */
export function slug(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
}

/** The absolute path, or the text where it can only mean a repository on the hub. */
export async function modelPath(where: string, text: string, cwd: string): Promise<string> {
  const absolute = path.resolve(cwd, text);
  const isThere = (await stat(absolute).catch(() => undefined)) !== undefined;
  const isInFolder = (await stat(path.dirname(absolute)).catch(() => undefined)) !== undefined;
  if (!isThere && !isInFolder && parseReference(text, "model") !== undefined) return text;
  return existingPath(where, text, cwd);
}

/** The absolute path of what is there. Throws ConfigError, beginning with `where`. */
export async function existingPath(where: string, text: string, cwd: string): Promise<string> {
  const absolute = path.resolve(cwd, text);
  if ((await stat(absolute).catch(() => undefined)) !== undefined) return absolute;
  throw new ConfigError(`${where} ${text}: expected an existing path, found nothing at ${absolute}; check the path`);
}
