/**
 * Families, methods, objectives and readers in modules of a person's own: a module exports a family, or adds to registries itself. Loaded because a person named the file and for no other reason: a module is code, so that nothing which a
 * suite, a config or a checkpoint says may load one. `adamerge` in such a module is this very package, wherever the file lies: a second copy would
 * have a second tfjs, without our kernels and gradients.
 */
import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import nodeModule from "node:module";
import { pathToFileURL } from "node:url";
import { ConfigError, UserError } from "../errors.js";
import { extensions, loadingModule } from "../runtime/extensions.js";
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

/** Loads the modules at absolute paths and adds what they have; those that are loaded already are passed over. Throws ConfigError. */
export async function addFamilyModules(paths: readonly string[]): Promise<void> {
  for (const path of paths) await addFamilyModule(path);
}

async function addFamilyModule(path: string): Promise<void> {
  const bytes = await readBytes(path, "a module that extends adamerge", MOST_MODULE_BYTES, ConfigError);
  const place = await realpath(path);
  if (loaded.has(place)) return;
  knowOwnPackage();
  const before = extensions().length;
  const module = { path: place, sha256: createHash("sha256").update(bytes).digest("hex") };
  await loadingModule(module, async () => {
    const found = familyIn(await importModule(path, place));
    if (found !== undefined) addOutsideFamily(found, path);
  });
  if (extensions().length === before)
    throw new ConfigError(
      `${path}: expected a ModelFamily as the default export or as the export \`family\`, or calls of addMethod, addObjective or addReader, found neither. docs/extending/family.md and docs/library.md have examples`,
    );
  loaded.add(place);
}

async function importModule(path: string, place: string): Promise<unknown> {
  try {
    return await import(pathToFileURL(place).href);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(
      `${path}: expected a JavaScript module (.mjs, or .js where package.json says so) that loads, found an error in it: ${reason} (--debug shows where)`,
      { cause },
    );
  }
}

function familyIn(exported: unknown): unknown {
  if (typeof exported !== "object" || exported === null) return undefined;
  return Reflect.get(exported, "default") ?? Reflect.get(exported, "family");
}

function knowOwnPackage(): void {
  if (isOwnPackageKnown) return;
  const own = {
    adamerge: new URL("../index.js", import.meta.url).href,
    "adamerge/internal": new URL("../internal.js", import.meta.url).href,
  };
  nodeModule.register(new URL("../runtime/own-package-hooks.js", import.meta.url), { data: { own } });
  isOwnPackageKnown = true;
}
