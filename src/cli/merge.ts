/** `adamerge merge`: writes a merged model, of a merge file or of given coefficients, loadable by transformers. */
import path from "node:path";
import { ConfigError } from "../errors.js";
import { bytesText, duration } from "../track/terminal.js";
import { EXIT_INTERRUPTED, EXIT_OK } from "./exit-codes.js";
import { type CliIo, printJson, workOptions } from "./io.js";
import { defineVerb, jsonOption, overridesPositional, quietOption } from "./verb.js";

export const mergeVerb = defineVerb({
  name: "merge",
  group: "merge",
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
    json: jsonOption,
  },
  examples: [
    [
      "merge merge.yaml --output merged",
      "Merge the models that the file lists; started again, it goes on where it was",
    ],
    ["merge mini8 --coefficients runs/mini8/default --output merged", "Merge with what a run learned"],
  ],
  async run({ config: given, overrides, coefficients, output, overwrite, threads, quiet, json }, io) {
    const directory = path.resolve(io.cwd, output);
    const withCoefficients = coefficients !== undefined;
    const { kind, path: file } = await io.library.findMergeSource(given, { cwd: io.cwd, withCoefficients });
    if (kind === "merge-file") {
      if (coefficients !== undefined || overrides.length > 0)
        throw new ConfigError(
          `${given} is a merge file: expected neither --coefficients nor settings behind it, found ${coefficients === undefined ? overrides[0] : "--coefficients"}; write settings into the file`,
        );
      return mergeByFile(file, directory, { overwrite, threads, quiet, json }, io);
    }
    const config = await io.library.loadConfig(file, { overrides, cwd: io.cwd });
    if (coefficients === undefined)
      throw new ConfigError(
        `${given} is a run config: expected --coefficients with what a run learned. To merge models as they are, give a merge file (models, merge_method)`,
      );
    const work = workOptions(io, { quiet, overwrite });
    await io.library.merge(config, { ...work, coefficients, output: directory });
    if (json) printJson(io, { output: directory });
    else io.stdout.write(`${directory}\n`);
    return EXIT_OK;
  },
});

interface MergeFlags {
  readonly overwrite: boolean;
  readonly threads: number;
  readonly quiet: boolean;
  readonly json: boolean;
}

async function mergeByFile(file: string, output: string, { overwrite, threads, quiet, json }: MergeFlags, io: CliIo) {
  const work = workOptions(io, { quiet, overwrite });
  const { log } = work;
  const { reason, writtenBytes, seconds } = await io.library.mergeModels(file, { ...work, output, threads });
  const speed = `${bytesText(writtenBytes)} in ${duration(seconds)}, ${bytesText(writtenBytes / seconds)}/s`;
  if (json) printJson(io, { output, reason, writtenBytes, seconds });
  if (reason === "interrupted") {
    log(`interrupted after ${speed}; the same command goes on with it`);
    return EXIT_INTERRUPTED;
  }
  log(`wrote ${speed}`);
  if (!json) io.stdout.write(`${output}\n`);
  return EXIT_OK;
}
