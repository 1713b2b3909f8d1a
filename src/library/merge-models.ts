/** `mergeModels` for programs: what `adamerge merge` does with a merge file. It writes a folder that transformers loads, and needs no engine. */
import { readMergeFile } from "../config/merge-file.js";
import { findShipped } from "../config/shipped-files.js";
import { ConfigError } from "../errors.js";
import { type MergeProgress, type MergeResult, mergeModels as run } from "../run/merge-models/merge-models.js";
import { requiredOutput } from "./required-output.js";
import { resolveWork, type Work, type WorkOptions } from "./work-options.js";

/** Where a merge file's result goes, and how it is written. */
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
 * output, and the same call goes on with it. Throws ConfigError for the file's mistakes, CheckpointError for models that do not fit together, and
 * HubError for those that do not come.
 */
export async function mergeModels(file: string, options: MergeModelsOptions): Promise<MergeResult> {
  const work = resolveWork(options);
  const output = requiredOutput(work, "mergeModels");
  const { threads = 0, maxShardBytes } = options;
  if (!Number.isInteger(threads) || threads < 0)
    throw new ConfigError(`${work.optionName("threads")}: expected a whole number, 0 for all cores, found ${threads}`);
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
