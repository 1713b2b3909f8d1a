/**
 * Families in modules of a person's own, loaded because a person named the file and for no other reason: a module is code, so that nothing which a
 * suite, a config or a checkpoint says may load one. `adamerge` in such a module is this very package, wherever the file lies: a second copy would
 * have a second tfjs, without our kernels and gradients.
 */
import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import nodeModule from "node:module";
import { pathToFileURL } from "node:url";
import { ConfigError } from "../errors.js";
import { readBytes } from "../runtime/regular-file.js";
import { addOutsideFamily } from "./families.js";

/** A module with everything that it imports in one file has a few. */
const MOST_MODULE_BYTES = 2 ** 26;

/** Absolute, links resolved. */
const loaded = new Set<string>();
let isOwnPackageKnown = false;

/** Paths of the modules so far, for processes that need the same. */
export function familyModules(): readonly string[] {
  return [...loaded];
}

/** Loads the modules at absolute paths and adds their families; those that are loaded already are passed over. Throws ConfigError. */
export async function addFamilyModules(paths: readonly string[]): Promise<void> {
  for (const path of paths) await addFamilyModule(path);
}

async function addFamilyModule(path: string): Promise<void> {
  const bytes = await readBytes(path, "a module with a family of models", MOST_MODULE_BYTES, ConfigError);
  const place = await realpath(path);
  if (loaded.has(place)) return;
  knowOwnPackage();
  let exported: unknown;
  try {
    exported = await import(pathToFileURL(place).href);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(
      `${path}: expected a JavaScript module (.mjs, or .js where package.json says so) that loads, found an error in it: ${reason} (--debug shows where)`,
      { cause },
    );
  }
  const found = familyIn(exported);
  if (found === undefined)
    throw new ConfigError(
      `${path}: expected a ModelFamily as the default export or as the export \`family\`, found neither. docs/extending/family.md has an example`,
    );
  addOutsideFamily(found, path, { path: place, sha256: createHash("sha256").update(bytes).digest("hex") });
  loaded.add(place);
}

function familyIn(exported: unknown): unknown {
  if (typeof exported !== "object" || exported === null) return undefined;
  return Reflect.get(exported, "default") ?? Reflect.get(exported, "family");
}

function knowOwnPackage(): void {
  if (isOwnPackageKnown) return;
  const own = new URL("../index.js", import.meta.url).href;
  nodeModule.register(new URL("../runtime/own-package-hooks.js", import.meta.url), { data: { own } });
  isOwnPackageKnown = true;
}
