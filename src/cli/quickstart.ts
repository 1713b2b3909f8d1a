/** `adamerge quickstart`: training-free and learned merges, on a suite that ships with the package. */
import path from "node:path";
import { changedLines, gainLines } from "../report/learned-gain.js";
import { resultsText } from "../report/results-text.js";
import { EXIT_INTERRUPTED, EXIT_OK } from "./exit-codes.js";
import { printJson, tableSpace, workOptions } from "./io.js";
import { defineVerb, jsonOption, quietOption } from "./verb.js";

export const quickstartVerb = defineVerb({
  name: "quickstart",
  group: "start",
  usage: "",
  describe: "Merge the models that ship with the package and compare methods (about three minutes)",
  positionals: {},
  options: {
    suite: {
      describe: "text8 (texts), mini8 (images), or a suite's folder, which is merged with text8's settings",
      type: "string",
      default: "text8",
      requiresArg: true,
    },
    output: { describe: "Directory of runs", type: "string", default: "runs", requiresArg: true, alias: "o" },
    quiet: quietOption,
    json: jsonOption,
  },
  examples: [
    ["quickstart", "See it work, on texts"],
    ["quickstart --suite mini8", "The same on images"],
    ["quickstart --output /tmp/runs --json", "The same for a script"],
  ],
  async run({ suite, output, quiet, json }, io) {
    const work = { ...workOptions(io, { quiet }), output: path.resolve(io.cwd, output) };
    const { summary, gains, changed, runPath, reportPath } = await io.library.quickstart({ ...work, suite });
    if (json) printJson(io, { ...summary, gains, examples: changed, runPath, reportPath });
    else {
      const { rows, suite: name, engine, device, seconds } = summary;
      const lines = [
        resultsText(rows, tableSpace(io)),
        ...gainLines(gains),
        ...(changed === undefined ? [] : changedLines(changed)),
      ];
      io.stdout.write(`${lines.join("\n")}\n`);
      io.stdout.write(`suite ${name}, engine ${engine} on ${device}, ${seconds.toFixed(1)} s\n`);
      io.stdout.write(`open first: ${reportPath} (it leads to the reports of the fits)\n`);
    }
    return io.signal.aborted ? EXIT_INTERRUPTED : EXIT_OK;
  },
});
