/** `adamerge merge`: writes a merged model, of a merge file or of given coefficients, loadable by transformers. */
import path from "node:path";
import { ConfigError } from "../errors.js";
import type { SummedAdapter } from "../index.js";
import { bytesText, duration } from "../track/terminal.js";
import { EXIT_INTERRUPTED, EXIT_OK } from "./exit-codes.js";
import { type CliIo, printJson, workOptions } from "./io.js";
import { missedTable, percent } from "./missed-table.js";
import { defineVerb, jsonOption, overridesPositional, quietOption, requireWhole } from "./verb.js";

export const mergeVerb = defineVerb({
  name: "merge",
  group: "merge",
  usage: "<config> [overrides..]",
  describe: "Write a merged model, or adapter: of a merge file (as mergekit's), or of a run's coefficients",
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
    "save-as": {
      describe: "adapter: a merge of LoRA adapters as one adapter of their base, that peft loads",
      choices: ["model", "adapter"],
      default: "model",
      requiresArg: true,
    },
    rank: {
      describe: "With --save-as adapter: truncate matrices to this rank; default: the sum of the experts', exact",
      type: "number",
      requiresArg: true,
    },
    dtype: {
      describe: "With --save-as adapter: type of the factors; default: float32",
      choices: ["float16", "float32"],
      requiresArg: true,
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
    ["merge adapters.yaml --save-as adapter --output merged-lora", "LoRA adapters as one, nothing left out"],
  ],
  async run({ config: given, overrides, coefficients, output, overwrite, threads, quiet, json, ...flags }, io) {
    const directory = path.resolve(io.cwd, output);
    const adapter = adapterFlags(flags);
    const withCoefficients = coefficients !== undefined;
    const { kind, path: file } = await io.library.findMergeSource(given, { cwd: io.cwd, withCoefficients });
    if (kind === "merge-file") {
      if (coefficients !== undefined || overrides.length > 0)
        throw new ConfigError(
          `${given} is a merge file: expected neither --coefficients nor settings behind it, found ${coefficients === undefined ? overrides[0] : "--coefficients"}; write settings into the file`,
        );
      if (adapter === undefined) return mergeByFile(file, directory, { overwrite, threads, quiet, json }, io);
      const work = workOptions(io, { quiet, overwrite });
      const merged = await io.library.mergeModelsToAdapter(file, { ...work, ...adapter, output: directory });
      return showAdapter(merged, directory, { json, quiet }, io);
    }
    const config = await io.library.loadConfig(file, { overrides, cwd: io.cwd });
    if (coefficients === undefined)
      throw new ConfigError(
        `${given} is a run config: expected --coefficients with what a run learned. To merge models as they are, give a merge file (models, merge_method)`,
      );
    const work = workOptions(io, { quiet, overwrite });
    if (adapter !== undefined) {
      const merged = await io.library.mergeToAdapter(config, { ...work, ...adapter, coefficients, output: directory });
      return showAdapter(merged, directory, { json, quiet }, io);
    }
    await io.library.merge(config, { ...work, coefficients, output: directory });
    if (json) printJson(io, { output: directory });
    else io.stdout.write(`${directory}\n`);
    return EXIT_OK;
  },
});

/** Undefined without --save-as adapter. */
function adapterFlags({
  "save-as": saveAs,
  rank,
  dtype,
}: {
  readonly "save-as": string;
  readonly rank: number | undefined;
  readonly dtype: string | undefined;
}) {
  const isAdapter = saveAs === "adapter";
  for (const [flag, value] of Object.entries({ rank, dtype }))
    if (value !== undefined && !isAdapter)
      throw new ConfigError(
        `--${flag}: expected --save-as adapter with it, found ${value} without. Leave one out, or add the other`,
      );
  if (!isAdapter) return undefined;
  if (rank !== undefined) requireWhole("rank", rank, 1);
  return { rank, dtype: dtype === "float16" ? ("float16" as const) : ("float32" as const) };
}

/** The adapter's folder to stdout; what was missed, and where most, to stderr. */
function showAdapter(
  { rank, matrices, whole, error }: SummedAdapter,
  output: string,
  { json, quiet }: Pick<MergeFlags, "json" | "quiet">,
  io: CliIo,
): number {
  if (json) printJson(io, { output, rank, error, matrices, whole });
  else io.stdout.write(`${output}\n`);
  if (quiet || json) return EXIT_OK;
  const cut = matrices.filter((one) => one.rank < one.rankOfExperts);
  if (cut.length > 0)
    io.stderr.write(
      `${missedTable(
        cut.map((one) => ({ ...one, rank: `${one.rank} of ${one.rankOfExperts}` })),
        io,
      )}\n`,
    );
  io.stderr.write(
    `rank ${rank}: ${matrices.length} matrices, ${whole.length} other tensors in full; ${percent(error)} % of the change's norm is missed\n`,
  );
  return EXIT_OK;
}

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
