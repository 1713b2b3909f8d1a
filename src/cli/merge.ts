/** `adamerge merge`: writes a merged model, of a merge file or of given coefficients, loadable by transformers. */
import path from "node:path";
import { findShipped } from "../config/shipped-files.js";
import { ConfigError } from "../errors.js";
import { coefficientsPath } from "../library/coefficients-path.js";
import { readBeginning } from "../runtime/regular-file.js";
import { bytesText, createByteProgress } from "../track/byte-progress.js";
import { duration } from "../track/terminal.js";
import { EXIT_INTERRUPTED, EXIT_OK } from "./exit-codes.js";
import { type CliIo, loadCliConfig, workOptions } from "./io.js";
import { defineVerb, overridesPositional, quietOption } from "./verb.js";

/** Merge files with a weight for each tensor of large models have some megabytes. */
const MAX_FILE_BYTES = 40_000_000;

export const mergeVerb = defineVerb({
  name: "merge",
  usage: "<config> [overrides..]",
  describe: "Write a merged model: of a merge file (as mergekit's), or of a run's coefficients",
  positionals: {
    config: {
      describe:
        "Merge file (YAML with models and merge_method), or run config with --coefficients; or the name of one that ships",
      type: "string",
      demandOption: true,
    },
    overrides: overridesPositional,
  },
  options: {
    coefficients: {
      describe: "With a run config: coefficients.json, or the run folder it is in",
      type: "string",
      requiresArg: true,
    },
    output: {
      describe: "New folder for the model, apart from all that is read",
      type: "string",
      demandOption: true,
      requiresArg: true,
      alias: "o",
    },
    overwrite: {
      describe:
        "Replace an earlier result in the folder; refused when the folder holds anything that adamerge did not write, or that was changed since",
      type: "boolean",
      default: false,
    },
    threads: { describe: "With a merge file: threads; 0: all cores", type: "number", default: 0, requiresArg: true },
    quiet: quietOption,
  },
  examples: [
    [
      "merge merge.yaml --output merged",
      "Merge the models that the file lists; started again, it goes on where it was",
    ],
    ["merge mini8 --coefficients runs/mini8/default --output merged", "Merge with what a run learned"],
  ],
  async run({ config: given, overrides, coefficients, output, overwrite, threads, quiet }, io) {
    const directory = path.resolve(io.cwd, output);
    const { looksLikeMergeFile } = await import("../config/merge-file.js");
    // A merge file and a run config may ship under one name: only the config goes with coefficients.
    const kinds = coefficients === undefined ? (["merge", "config"] as const) : (["config", "merge"] as const);
    const file = await findShipped(given, io.cwd, kinds);
    const beginning = await readBeginning(file, "a merge file or a run config", MAX_FILE_BYTES, ConfigError);
    const text = Buffer.from(beginning ?? []).toString("utf8");
    if (looksLikeMergeFile(text)) {
      if (coefficients !== undefined || overrides.length > 0)
        throw new ConfigError(
          `${given} is a merge file: expected neither --coefficients nor settings behind it, found ${coefficients === undefined ? overrides[0] : "--coefficients"}; write settings into the file`,
        );
      return mergeByFile(file, directory, { overwrite, threads, quiet }, io);
    }
    const { config } = await loadCliConfig(file, overrides, io);
    if (coefficients === undefined)
      throw new ConfigError(
        `${given} is a run config: expected --coefficients with what a run learned. To merge models as they are, give a merge file (models, merge_method)`,
      );
    const from = await coefficientsPath(coefficients, io.cwd);
    const library = await io.library();
    const work = { ...workOptions(io, { quiet, overwrite }), configPath: file };
    await library.mergeToDirectory(config, from, directory, work);
    io.stdout.write(`${directory}\n`);
    return EXIT_OK;
  },
});

interface MergeFlags {
  readonly overwrite: boolean;
  readonly threads: number;
  readonly quiet: boolean;
}

async function mergeByFile(file: string, directory: string, { overwrite, threads, quiet }: MergeFlags, io: CliIo) {
  if (!Number.isInteger(threads) || threads < 0)
    throw new ConfigError(`--threads: expected a whole number, 0 for all cores, found ${threads}`);
  const { readMergeFile } = await import("../config/merge-file.js");
  const { log, hub, cacheDir } = workOptions(io, { quiet });
  const progress = createByteProgress(io.stderr, () => performance.now());
  const { mergeModels } = await io.merging();
  const { reason, writtenBytes, seconds } = await mergeModels(await readMergeFile(file), directory, {
    overwrite,
    threads,
    signal: io.signal,
    log,
    hub,
    cacheDir,
    onProgress: quiet ? () => {} : progress.show,
  }).finally(progress.end);
  const speed = `${bytesText(writtenBytes)} in ${duration(seconds)}, ${bytesText(writtenBytes / seconds)}/s`;
  if (reason === "interrupted") {
    log(`interrupted after ${speed}; the same command goes on with it`);
    return EXIT_INTERRUPTED;
  }
  log(`wrote ${speed}`);
  io.stdout.write(`${directory}\n`);
  return EXIT_OK;
}
