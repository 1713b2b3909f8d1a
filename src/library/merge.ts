/** `merge` for programs: what `adamerge merge` does with a run config and coefficients. By merge files: merge-models.ts; in memory: merge-tensors.ts. */
import { mergeToDirectory } from "../run/coefficients/merge-to-directory.js";
import { coefficientsPath } from "./coefficients-path.js";
import { type ConfigSource, resolveConfig } from "./load-config.js";
import { requiredOutput } from "./required-output.js";
import { resolveWork, type WorkOptions } from "./work-options.js";

export interface MergeOptions extends WorkOptions {
  /** What a run learned: its folder, or a coefficients.json. */
  readonly coefficients: string;
  /** The new folder of the model, apart from all that is read. */
  readonly output: string;
}

/**
 * Merges the suite of a config with coefficients that were learned before, in float32. Returns the folder of the model. Throws CheckpointError for
 * coefficients or models that do not fit, ConfigError for an `output` that is there already.
 */
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
