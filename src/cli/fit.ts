/** `adamerge fit`: learns merging coefficients as a config says and writes a run folder, or goes on in one. */
import { ConfigError } from "../errors.js";
import type { FitResult } from "../index.js";
import { gainLines, verdictLine } from "../report/learned-gain.js";
import { resultsText } from "../report/results-text.js";
import { EXIT_INTERRUPTED, EXIT_OK } from "./exit-codes.js";
import { familyFlags } from "./families.js";
import { type CliIo, printJson, tableSpace, workOptions } from "./io.js";
import { defineVerb, jsonOption, overridesPositional, quietOption } from "./verb.js";

export const fitVerb = defineVerb({
  name: "fit",
  group: "learn",
  usage: "[config] [overrides..]",
  describe: "Learn merging coefficients and write the merged model into a run folder",
  positionals: {
    config: { describe: "Config file (YAML), or the name of one that ships", type: "string" },
    overrides: overridesPositional,
  },
  options: {
    resume: {
      describe: "Instead of a config: the folder of a run that stopped, to go on with",
      type: "string",
      requiresArg: true,
    },
    overwrite: { describe: "Replace a run of the same name", type: "boolean", default: false },
    "dry-run": { describe: "Check everything, time one step, and begin no run", type: "boolean", default: false },
    quiet: quietOption,
    json: jsonOption,
  },
  examples: [
    ["fit mini8", "Fit as the config says"],
    ["fit mini8 --dry-run", "What it would need: memory, disk, time"],
    ["fit --resume runs/mini8/default", "Go on with a run that was stopped"],
    ["fit mini8 name=lr-1e-2 optimizer.learning_rate=1e-2", "Change settings, give the run a name"],
  ],
  async run({ config: file, overrides, resume, overwrite, "dry-run": dryRun, quiet, json }, io) {
    const options = workOptions(io, { quiet, overwrite });
    if (resume !== undefined) {
      const extra = file ?? (overwrite ? "--overwrite" : dryRun ? "--dry-run" : undefined);
      if (extra !== undefined)
        throw new ConfigError(
          `--resume: expected alone, since a run goes on with its own settings, found ${extra} too`,
        );
      return show(await io.library.resume(resume, options), { quiet, json }, io);
    }
    if (file === undefined)
      throw new ConfigError(
        "fit: expected a config file or --resume RUN, found neither; `adamerge fit --help` explains",
      );
    const config = await io.library.loadConfig(file, { overrides, cwd: io.cwd });
    if (!dryRun) return show(await io.library.fit(config, options), { quiet, json }, io);
    const plan = await io.library.planFit(config, options);
    if (json) printJson(io, plan);
    else io.stdout.write(`${(await io.library.planLines(plan)).join("\n")}\n`);
    return EXIT_OK;
  },
});

async function show(
  { runPath, rows, gains, reason }: FitResult,
  { quiet, json }: { quiet: boolean; json: boolean },
  io: CliIo,
): Promise<number> {
  if (json) printJson(io, { runPath, reason, rows, gains });
  else if (quiet) io.stdout.write(`${runPath}\n`);
  else {
    const table = rows.length === 0 ? [] : [resultsText(rows, tableSpace(io))];
    const lines = [...table, ...gainLines(gains), ...gains.map(verdictLine), `run: ${runPath}`];
    io.stdout.write(`${lines.join("\n")}\n`);
  }
  if (reason === "finished") return EXIT_OK;
  const words = ["adamerge fit --resume", runPath, ...(await familyFlags(io))];
  if (!quiet) io.stderr.write(`to go on: ${words.join(" ")}\n`);
  return EXIT_INTERRUPTED;
}
