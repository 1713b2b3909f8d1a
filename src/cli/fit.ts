/** `adamerge fit`: learns merging coefficients as a config says and writes a run folder. */
import { textTable } from "../report/table.js";
import { EXIT_INTERRUPTED, EXIT_OK } from "./exit-codes.js";
import { loadCliConfig, printJson, workOptions } from "./io.js";
import { configPositional, defineVerb, jsonOption, overridesPositional, quietOption } from "./verb.js";

export const fitVerb = defineVerb({
  name: "fit",
  usage: "<config> [overrides..]",
  describe: "Learn merging coefficients and write the merged model into a run folder",
  positionals: { config: configPositional, overrides: overridesPositional },
  options: {
    overwrite: { describe: "Replace a run of the same name", type: "boolean", default: false },
    quiet: quietOption,
    json: jsonOption,
  },
  examples: [
    ["fit configs/mini4.yaml", "Fit as the config says"],
    ["fit configs/mini4.yaml name=lr-1e-2 optimizer.learning_rate=1e-2", "Change settings, give the run a name"],
  ],
  async run({ config: file, overrides, overwrite, quiet, json }, io) {
    const { config } = await loadCliConfig(file, overrides, io);
    const library = await io.library();
    const { runPath, table, reason } = await library.fit(config, workOptions(io, { quiet, overwrite }));
    if (json) printJson(io, { runPath, reason, rows: table });
    else if (quiet) io.stdout.write(`${runPath}\n`);
    else io.stdout.write(`${table.length > 0 ? `${textTable(table)}\n` : ""}run: ${runPath}\n`);
    return reason === "interrupted" ? EXIT_INTERRUPTED : EXIT_OK;
  },
});
