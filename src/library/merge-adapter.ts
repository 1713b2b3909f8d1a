/** `mergeToAdapter` and `mergeModelsToAdapter` for programs: what `adamerge merge --save-as adapter` does. */
import { readMergeFile } from "../config/merge-file.js";
import { findShipped } from "../config/shipped-files.js";
import type { SummedAdapter } from "../merge/summed-adapter.js";
import { coefficientsToAdapter } from "../run/merge-adapter/of-coefficients.js";
import { mergeFileToAdapter } from "../run/merge-adapter/of-merge-file.js";
import { coefficientsPath } from "./coefficients-path.js";
import { type ConfigSource, resolveConfig } from "./load-config.js";
import { requiredOutput } from "./required-output.js";
import { resolveWork, type Work, type WorkOptions } from "./work-options.js";

/** What adapter a merge of adapters becomes, and where it goes. */
export interface MergeToAdapterOptions extends WorkOptions {
  /** The new folder of the adapter, apart from all that is read. */
  readonly output: string;
  /** The most that a matrix gets, by singular values; default: the sum of its experts' ranks, which is exact. */
  readonly rank?: number | undefined;
  /** Of the factors; default: float32. Tensors in full are always float32. */
  readonly dtype?: "float16" | "float32" | undefined;
}

/**
 * Merges the suite of a config, whose experts are LoRA adapters, with coefficients that were learned before, into one
 * adapter of the base. Throws CheckpointError for coefficients or models that do not fit and experts that are no
 * adapters, ConfigError for processed task vectors and for an `output` that is there already.
 */
export async function mergeToAdapter(
  config: ConfigSource,
  options: MergeToAdapterOptions & {
    /** What a run learned: its folder, or a coefficients.json. */
    readonly coefficients: string;
  },
): Promise<SummedAdapter> {
  const work = resolveWork(options);
  const adapter = adapterOptions(work, options, "mergeToAdapter");
  const { config: resolved, configPath } = await resolveConfig(config, { ...work, output: undefined });
  const coefficients = await coefficientsPath(options.coefficients, work.cwd);
  return coefficientsToAdapter(resolved, coefficients, {
    ...adapter,
    ...(configPath === undefined ? {} : { configPath }),
  });
}

/**
 * Merges the LoRA adapters that a merge file names into one adapter of their base. Throws ConfigError for the file's
 * mistakes and methods that do more than weigh task vectors, CheckpointError for models that are no adapters of one
 * base, and HubError for those that do not come.
 */
export async function mergeModelsToAdapter(file: string, options: MergeToAdapterOptions): Promise<SummedAdapter> {
  const work = resolveWork(options);
  const adapter = adapterOptions(work, options, "mergeModelsToAdapter");
  return mergeFileToAdapter(await readMergeFile(await findShipped(file, work.cwd, ["merge"])), adapter);
}

function adapterOptions(work: Work, { rank, dtype = "float32" }: MergeToAdapterOptions, verb: string) {
  return { ...work, output: requiredOutput(work, verb), rank, dtype };
}
