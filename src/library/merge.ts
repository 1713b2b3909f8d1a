/**
 * `merge` and `mergeModels` for programs: what `adamerge merge` does with a run config and with a merge file. Both write a folder that transformers
 * loads. Merging in memory is in merge-tensors.ts.
 */
import { readMergeFile } from "../config/merge-file.js";
import { findShipped } from "../config/shipped-files.js";
import { ConfigError } from "../errors.js";
import { type MergeProgress, type MergeResult, mergeModels as run } from "../run/merge-models/merge-models.js";
import { mergeToDirectory } from "../run/merge-to-directory.js";
import { coefficientsPath } from "./coefficients-path.js";
import { type ConfigSource, resolveConfig } from "./load-config.js";
import { resolveWork, type Work, type WorkOptions } from "./work-options.js";

export interface MergeOptions extends WorkOptions {
  /** What a run learned: its folder, or a coefficients.json. */
  readonly coefficients: string;
  /** The new folder of the model, apart from all that is read. */
  readonly output: string;
}

/** Merges the suite of a config with coefficients that were learned before. Returns the folder of the model. */
export async function merge(config: ConfigSource, options: MergeOptions): Promise<string> {
  const work = resolveWork(options);
  const directory = requiredOutput(work, "merge");
  // The config's own output is where runs are.
  const { config: resolved, configPath } = await resolveConfig(config, { ...work, output: undefined });
  const coefficients = await coefficientsPath(options.coefficients, work.cwd);
  await mergeToDirectory(resolved, coefficients, directory, {
    ...work,
    ...(configPath === undefined ? {} : { configPath }),
  });
  return directory;
}

export interface MergeModelsOptions extends WorkOptions {
  /** The new folder of the model, apart from all that is read. */
  readonly output: string;
  /** Default: as many as there are cores. */
  readonly threads?: number | undefined;
  /** A larger model is written in several files; default: as transformers divides them. */
  readonly maxShardBytes?: number | undefined;
}

/**
 * Merges models of any architecture and size as a merge file (mergekit's form) says. After an abort of `signal` what was done is kept beside the
 * output, and the same call goes on with it.
 */
export async function mergeModels(file: string, options: MergeModelsOptions): Promise<MergeResult> {
  const work = resolveWork(options);
  const output = requiredOutput(work, "mergeModels");
  const { threads = 0, maxShardBytes } = options;
  if (!Number.isInteger(threads) || threads < 0)
    throw new ConfigError(`threads: expected a whole number, 0 for all cores, found ${threads}`);
  const progress = watchedProgress(work);
  const result = await run(await readMergeFile(await findShipped(file, work.cwd, ["merge"])), output, {
    ...work,
    signal: progress.signal,
    threads,
    onProgress: progress.show,
    ...(maxShardBytes === undefined ? {} : { maxShardBytes }),
  });
  progress.throwFailure();
  return result;
}

function requiredOutput({ output }: Work, verb: string): string {
  if (output !== undefined) return output;
  throw new ConfigError(`${verb}: expected output, the new folder of the merged model, found none`);
}

/** Progress comes from threads, where an error of the program's would be nobody's: it stops the merge, and is thrown when that has ended. */
function watchedProgress({ signal, onEvent }: Work) {
  const stop = new AbortController();
  const failures: unknown[] = [];
  return {
    signal: AbortSignal.any([signal, stop.signal]),
    show: (progress: MergeProgress): void => {
      if (failures.length > 0) return;
      try {
        onEvent({ type: "merge", ...progress });
      } catch (error) {
        failures.push(error);
        stop.abort();
      }
    },
    throwFailure: (): void => {
      if (failures.length > 0) throw failures[0];
    },
  };
}
