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
export async function loadFamilies(flags: readonly string[], { env, cwd, library }: CliIo): Promise<void> {
  const inVariable = (env[VARIABLE] ?? "").split(path.delimiter).filter((file) => file !== "");
  for (const file of [...flags, ...inVariable]) await library.loadExtension(file, { cwd });
}

/** The flags that give another command the same families, with paths from the working folder on. */
export async function familyFlags({ cwd, library }: CliIo): Promise<string[]> {
  return (await library.loadedExtensions()).flatMap((file) => ["--family", path.relative(cwd, file)]);
}
