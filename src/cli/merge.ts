/** `adamerge merge`: writes the merged model for given coefficients, loadable by transformers. */
import path from "node:path";
import { coefficientsPath } from "./coefficients-path.js";
import { EXIT_OK } from "./exit-codes.js";
import { loadCliConfig, workOptions } from "./io.js";
import { configPositional, defineVerb, overridesPositional, quietOption } from "./verb.js";

export const mergeVerb = defineVerb({
  name: "merge",
  usage: "<config> [overrides..]",
  describe: "Write the merged model for given coefficients",
  positionals: { config: configPositional, overrides: overridesPositional },
  options: {
    coefficients: {
      describe: "coefficients.json, or the run folder it is in",
      type: "string",
      demandOption: true,
      requiresArg: true,
    },
    output: { describe: "New folder for the model", type: "string", demandOption: true, requiresArg: true, alias: "o" },
    overwrite: { describe: "Replace what is in the folder", type: "boolean", default: false },
    quiet: quietOption,
  },
  examples: [
    ["merge configs/mini8.yaml --coefficients runs/mini8/default --output merged", "Merge with what a run learned"],
    ["merge configs/mini8.yaml --coefficients edited.json -o merged", "Merge with coefficients edited by hand"],
  ],
  async run({ config: file, overrides, coefficients, output, overwrite, quiet }, io) {
    const { config } = await loadCliConfig(file, overrides, io);
    const from = await coefficientsPath(coefficients, io.cwd);
    const directory = path.resolve(io.cwd, output);
    const library = await io.library();
    await library.mergeToDirectory(config, from, directory, workOptions(io, { quiet, overwrite }));
    io.stdout.write(`${directory}\n`);
    return EXIT_OK;
  },
});
