/** `adamerge quickstart`: models merged with and without learning, on a suite that ships with the package. */
import { existsSync } from "node:fs";
import path from "node:path";
import { changedLines, gainLines } from "../report/learned-gain.js";
import { textTable } from "../report/table.js";
import { EXIT_INTERRUPTED, EXIT_OK } from "./exit-codes.js";
import { presetsDirectory, printJson, workOptions } from "./io.js";
import { defineVerb, jsonOption, quietOption } from "./verb.js";

const DEFAULT_SUITE = "text8";

export const quickstartVerb = defineVerb({
  name: "quickstart",
  usage: "",
  describe: "Merge the models that ship with the package and compare methods (two to three minutes)",
  positionals: {},
  options: {
    suite: {
      describe: "text8 (texts), mini8 (images), or a suite's folder, which is merged with text8's settings",
      type: "string",
      default: DEFAULT_SUITE,
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
    const { overwrite: _, ...options } = workOptions(io, { quiet });
    const library = await io.library();
    const { summary, gains, changed, runPath } = await library.quickstart({
      ...options,
      ...configFor(suite, io),
      presetsDir: presetsDirectory(io),
      cwd: io.cwd,
      output: path.resolve(io.cwd, output),
    });
    if (json) printJson(io, { ...summary, gains, examples: changed, runPath });
    else {
      const { rows, suite: name, engine, device, seconds } = summary;
      const lines = [textTable(rows), ...gainLines(gains), ...(changed === undefined ? [] : changedLines(changed))];
      io.stdout.write(`${lines.join("\n")}\n`);
      io.stdout.write(
        `suite ${name}, engine ${engine} on ${device}, ${seconds.toFixed(1)} s; ${runPath}/report.html\n`,
      );
    }
    return io.signal.aborted ? EXIT_INTERRUPTED : EXIT_OK;
  },
});

/** The config of a suite that ships, or the default one's with another suite. */
function configFor(suite: string, { packageRoot, cwd }: { readonly packageRoot: string; readonly cwd: string }) {
  const configOf = (name: string) => path.join(packageRoot, "configs", `quickstart-${name}.yaml`);
  const isShipped = /^\w+$/.test(suite) && existsSync(configOf(suite));
  return isShipped
    ? { configPath: configOf(suite), overrides: [] }
    : { configPath: configOf(DEFAULT_SUITE), overrides: [`suite=${path.resolve(cwd, suite)}`] };
}
