/** What `adamerge merge` is given: a merge file (models, merge_method) or a run config, told apart by what is in the file. */
import { looksLikeMergeFile } from "../config/merge-file.js";
import { findShipped } from "../config/shipped-files.js";
import { ConfigError } from "../errors.js";
import { readBeginning } from "../runtime/regular-file.js";
import { workingDirectory } from "./surroundings.js";

/** Merge files with a weight for each tensor of large models have some megabytes. */
const MAX_FILE_BYTES = 40_000_000;

/** A file that can be merged by. */
export interface MergeSource {
  /** For `mergeModels`, or for `merge` with coefficients. */
  readonly kind: "merge-file" | "config";
  /** Absolute. */
  readonly path: string;
}

/** Options of `findMergeSource`. */
export interface FindMergeSourceOptions {
  /** Where relative paths begin; default: the working folder. */
  readonly cwd?: string | undefined;
  /** Whether there are coefficients to merge with: of a merge file and a config that ship under one name the config is meant then. */
  readonly withCoefficients?: boolean | undefined;
}

/** The file of this path or name. Throws ConfigError when there is none. */
export async function findMergeSource(
  nameOrPath: string,
  { cwd = workingDirectory(), withCoefficients = false }: FindMergeSourceOptions = {},
): Promise<MergeSource> {
  const kinds = withCoefficients ? (["config", "merge"] as const) : (["merge", "config"] as const);
  const path = await findShipped(nameOrPath, cwd, kinds);
  const beginning = await readBeginning(path, "a merge file or a run config", MAX_FILE_BYTES, ConfigError);
  const text = Buffer.from(beginning ?? []).toString("utf8");
  return { kind: looksLikeMergeFile(text) ? "merge-file" : "config", path };
}
