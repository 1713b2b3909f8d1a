/** `--family FILE` and ADAMERGE_FAMILIES: families of models from a person's own modules. */
import path from "node:path";
import type { CliIo } from "./io.js";

const VARIABLE = "ADAMERGE_FAMILIES";

export const familyOption = {
  describe: `A module of yours with a family of models, which is run; may be repeated (also ${VARIABLE}, separated as PATH is)`,
  type: "string",
  array: true,
  requiresArg: true,
  global: true,
} as const;

/** Loads the modules that were named. Throws ConfigError for one that is missing, does not load, or has no family. */
export async function loadFamilies(flags: readonly string[], { env, cwd }: Pick<CliIo, "env" | "cwd">): Promise<void> {
  const inVariable = (env[VARIABLE] ?? "").split(path.delimiter).filter((file) => file !== "");
  const files = [...flags, ...inVariable].map((file) => path.resolve(cwd, file));
  if (files.length === 0) return;
  const { addFamilyModules } = await import("../model/family-modules.js");
  await addFamilyModules(files);
}

/** The flags that give another process the same families; with paths from `cwd` on, for people who are there. */
export async function familyFlags(cwd?: string): Promise<string[]> {
  const { familyModules } = await import("../model/family-modules.js");
  const shown = (file: string): string => (cwd === undefined ? file : path.relative(cwd, file));
  return familyModules().flatMap((file) => ["--family", shown(file)]);
}
