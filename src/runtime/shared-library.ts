/** Shared libraries that others find by name once they are loaded, through koffi. */
import { createRequire } from "node:module";

type Koffi = typeof import("koffi");

/** A library is unloaded when nothing refers to it. */
const loaded = new Map<string, unknown>();

/**
 * Loads a library for the rest of the process: by its path, or by its name where the system's linker looks. Libraries that are loaded later and need one
 * of this name get it. Returns why it could not be loaded, in the linker's words; undefined when it could.
 */
export function loadSharedLibrary(nameOrPath: string): string | undefined {
  if (loaded.has(nameOrPath)) return undefined;
  try {
    const koffi: Koffi = createRequire(import.meta.url)("koffi");
    loaded.set(nameOrPath, koffi.load(nameOrPath));
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return reason.replace(/^Failed to load shared library: /, "");
  }
}
