/** `adamerge extract-lora`: a model as a LoRA adapter of its base, with what each matrix misses. */
import { ConfigError } from "../errors.js";
import { EXIT_OK } from "./exit-codes.js";
import { printJson, workOptions } from "./io.js";
import { missedTable, percent } from "./missed-table.js";
import { defineVerb, jsonOption, quietOption, requireWhole } from "./verb.js";

export const extractLoraVerb = defineVerb({
  name: "extract-lora",
  group: "merge",
  usage: "<base> <model>",
  describe: "Write a model's difference from its base as a LoRA adapter that peft loads",
  positionals: {
    base: { describe: "The base: its folder or file, of any architecture", type: "string", demandOption: true },
    model: {
      describe: "A model of the same tensors: fine-tuned from the base, or merged",
      type: "string",
      demandOption: true,
    },
  },
  options: {
    rank: { describe: "Rank of every matrix", type: "number", requiresArg: true },
    output: { describe: "The adapter's folder, a new one", type: "string", alias: "o", requiresArg: true },
    dtype: { describe: "Of the factors", choices: ["float16", "float32"], default: "float32", requiresArg: true },
    overwrite: { describe: "Replace an earlier adapter", type: "boolean", default: false },
    quiet: quietOption,
    json: jsonOption,
  },
  examples: [
    ["extract-lora base merged --rank 32 -o merged-lora", "And which matrices miss most"],
    ["extract-lora base merged --rank 24 -o merged-lora", "Exact for a merge of three adapters of rank 8"],
  ],
  async run({ base, model, rank, output, dtype, overwrite, quiet, json }, io) {
    if (rank === undefined || output === undefined)
      throw new ConfigError(
        `extract-lora: expected --rank R and --output FOLDER, found no --${rank === undefined ? "rank" : "output"}`,
      );
    requireWhole("rank", rank, 1);
    const options = { ...workOptions(io, { quiet, overwrite }), output, rank };
    const { truncated, whole, error } = await io.library.extractLora(base, model, {
      ...options,
      dtype: dtype === "float16" ? "float16" : "float32",
    });
    if (json) printJson(io, { output, error, truncated, whole });
    else if (quiet) io.stdout.write(`${percent(error)}\n`);
    else {
      if (truncated.length > 0) io.stdout.write(`${missedTable(truncated, io)}\n`);
      io.stdout.write(
        `${truncated.length} matrices, ${whole.length} other tensors in full; ${percent(error)} % of the change's norm is missed\n`,
      );
    }
    return EXIT_OK;
  },
});
