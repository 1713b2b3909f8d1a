/** `adamerge sweep`: many fits over values of config keys, ranked. */
import path from "node:path";
import { EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK } from "./exit-codes.js";
import { printJson, tableSpace, workOptions } from "./io.js";
import { defineVerb, jobsOption, jsonOption, overridesPositional, quietOption } from "./verb.js";

export const sweepVerb = defineVerb({
  name: "sweep",
  group: "study",
  usage: "<sweep> [overrides..]",
  describe: "Fit for many values of config keys and rank them; goes on where it was stopped",
  positionals: {
    sweep: { describe: "Sweep file (YAML), or the name of one that ships", type: "string", demandOption: true },
    overrides: overridesPositional,
  },
  options: {
    jobs: jobsOption("Trials"),
    launcher: {
      describe:
        "Where trials run: processes of this machine, or a Slurm job array (resources under slurm: in the sweep file)",
      choices: ["local", "slurm"] as const,
      default: "local" as const,
      requiresArg: true,
    },
    trial: {
      describe: "Run this one trial and no other (what a task of an array does)",
      type: "number",
      requiresArg: true,
    },
    output: { describe: "Directory of runs", type: "string", default: "runs", requiresArg: true, alias: "o" },
    "dry-run": { describe: "List the trials", type: "boolean", default: false },
    "retry-failed": { describe: "Begin failed trials anew", type: "boolean", default: false },
    quiet: quietOption,
    json: jsonOption,
  },
  examples: [
    ["sweep learning-rate --jobs 2", "Run the trials, two at a time"],
    ["sweep learning-rate --dry-run", "List them"],
  ],
  async run(
    { sweep, overrides, jobs, launcher, trial, output, "dry-run": dryRun, "retry-failed": retryFailed, quiet, json },
    io,
  ) {
    const work = workOptions(io, { quiet });
    const { columns } = tableSpace(io);
    const options = { ...work, overrides, output, jobs, launcher, dryRun, retryFailed, columns };
    if (trial !== undefined) {
      const { reason } = await io.library.sweepTrial(sweep, trial, options);
      return reason === "finished" ? EXIT_OK : EXIT_INTERRUPTED;
    }
    const { directory, table, text, missing } = await io.library.sweep(sweep, options);
    if (json) printJson(io, table);
    else io.stdout.write(quiet && !dryRun ? `${directory}\n` : text);
    if (!dryRun)
      work.log(
        `table: ${path.join(directory, "sweep.csv")}, .json, .txt; report: ${path.join(directory, "report.html")}`,
      );
    if (missing > 0 && !dryRun) work.log(`${missing} trials are missing; the same command goes on`);
    if (io.signal.aborted) return EXIT_INTERRUPTED;
    return table.rows.some(({ state }) => state === "failed") ? EXIT_FAILURE : EXIT_OK;
  },
});
