/** `convertCoefficients` and `readCoefficients` for programs: what `adamerge coefficients` and `inspect` do with what a run learned. */
import { ConfigError } from "../errors.js";
import { type CoefficientForm, convertCoefficients as convert } from "../run/coefficients/convert-coefficients.js";
import { type CoefficientsRecord, readCoefficients as read } from "../track/coefficients-file.js";
import { coefficientsPath } from "./coefficients-path.js";
import { type ConfigSource, resolveConfig } from "./load-config.js";
import { workingDirectory } from "./surroundings.js";
import { resolveWork, type WorkOptions } from "./work-options.js";

export interface ConvertCoefficientsOptions extends WorkOptions {
  /** A run's folder, a coefficients.json, an array [tasks, layers] as .npy (FusionBench), or the authors' list of rows. */
  readonly from: string;
  /** Default: json. */
  readonly to?: CoefficientForm | undefined;
  /** The new file. */
  readonly output: string;
}

/**
 * Converts coefficients from and to the forms of other tools, for the suite of a config. Throws CheckpointError for a
 * file that is none, or of other tasks or tensors, and ConfigError for an `output` that is there already.
 */
export async function convertCoefficients(
  config: ConfigSource,
  { from, to = "json", ...options }: ConvertCoefficientsOptions,
): Promise<CoefficientsRecord> {
  const work = resolveWork(options);
  const { output } = work;
  if (output === undefined) throw new ConfigError("convertCoefficients: expected output, the new file, found none");
  const { config: resolved, configPath } = await resolveConfig(config, { ...work, output: undefined });
  return convert(resolved, {
    ...work,
    from: await coefficientsPath(from, work.cwd),
    output,
    to,
    ...(configPath === undefined ? {} : { configPath }),
  });
}

/** What a run learned: of its folder, or of a coefficients.json. Throws CheckpointError where there is none, or one that is damaged. */
export async function readCoefficients(
  runOrFile: string,
  { cwd }: { readonly cwd?: string } = {},
): Promise<CoefficientsRecord> {
  return read(await coefficientsPath(runOrFile, cwd ?? workingDirectory()));
}
