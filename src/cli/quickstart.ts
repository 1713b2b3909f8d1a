/** `adamerge quickstart`: a whole fit on the suite that ships with the package, compared with the baselines. */
import path from "node:path";
import { textTable } from "../report/table.js";
import { EXIT_INTERRUPTED, EXIT_OK } from "./exit-codes.js";
import { presetsDirectory, printJson, workOptions } from "./io.js";
import { defineVerb, jsonOption, quietOption } from "./verb.js";

export const quickstartVerb = defineVerb({
  name: "quickstart",
  usage: "",
  describe: "Merge the models that ship with the package and compare methods (a minute or two)",
  positionals: {},
  options: {
    suite: { describe: "Suite to use (default: the one in the package)", type: "string", requiresArg: true },
    output: { describe: "Directory of runs", type: "string", default: "runs", requiresArg: true, alias: "o" },
    quiet: quietOption,
    json: jsonOption,
  },
  examples: [
    ["quickstart", "See it work"],
    ["quickstart --output /tmp/runs --json", "The same for a script"],
  ],
  async run({ suite, output, quiet, json }, io) {
    const { overwrite: _, ...options } = workOptions(io, { quiet });
    const library = await io.library();
    const summary = await library.quickstart({
      ...options,
      configPath: path.join(io.packageRoot, "configs", "quickstart.yaml"),
      presetsDir: presetsDirectory(io),
      cwd: io.cwd,
      overrides: suite === undefined ? [] : [`suite=${path.resolve(io.cwd, suite)}`],
      output: path.resolve(io.cwd, output),
    });
    if (json) printJson(io, summary);
    else {
      io.stdout.write(`${textTable(summary.rows)}\n`);
      const { engine, device, seconds } = summary;
      io.stdout.write(`suite ${summary.suite}, engine ${engine} on ${device}, ${seconds.toFixed(1)} s\n`);
    }
    return io.signal.aborted ? EXIT_INTERRUPTED : EXIT_OK;
  },
});
