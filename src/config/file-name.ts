/** The name of a sweep's or an experiment's file as the folder of its results. */
import path from "node:path";
import { ConfigError } from "../errors.js";

/** Throws ConfigError for a name that would be another folder: `..yaml` is none, and `...yaml` the one above. */
export function fileFolderName(file: string): string {
  const name = path.basename(file).replace(/\.ya?ml$/, "");
  if (!/^\.*$/.test(name)) return name;
  throw new ConfigError(`${file}: expected a file name that can name a folder of results, found none; rename the file`);
}
