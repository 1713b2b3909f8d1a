/** `adamerge reproduce`: the table of an experiment file, computed as far as it is not there yet. */
import path from "node:path";
import type { PlannedCell } from "../index.js";
import { EXIT_INTERRUPTED, EXIT_OK } from "./exit-codes.js";
import { printJson, tableSpace, workOptions } from "./io.js";
import { defineVerb, jobsOption, jsonOption, overridesPositional, quietOption } from "./verb.js";

export const reproduceVerb = defineVerb({
  name: "reproduce",
  group: "study",
  usage: "<experiment> [overrides..]",
  describe: "Make the table of an experiment; what is computed is kept",
  positionals: {
    experiment: { describe: "Name of a file in experiments/, or a file", type: "string", demandOption: true },
    overrides: overridesPositional,
  },
  options: {
    suite: {
      describe:
        "Suite with tasks of the same names, for all rows instead of the experiment's own (data in directories)",
      type: "string",
      requiresArg: true,
    },
    output: { describe: "Directory of runs", type: "string", default: "runs", requiresArg: true, alias: "o" },
    jobs: jobsOption("Models"),
    "dry-run": { describe: "List what would be computed", type: "boolean", default: false },
    search: {
      describe: "Search the settings on val again, instead of taking those that came with the experiment",
      type: "boolean",
      default: false,
    },
    quiet: quietOption,
    json: jsonOption,
  },
  examples: [
    ["reproduce mini8-findings", "Compute the table, or what is missing of it"],
    ["reproduce mini8-findings data.eval_limit=100 --dry-run", "What a smaller version would compute"],
    ["reproduce mini8-main --jobs 4", "On a machine with many cores: four models at the same time"],
    ["reproduce clip-vit-b32-main --suite my-suite.yaml", "With models and examples of one's own places"],
  ],
  async run({ experiment, overrides, suite, output, jobs, "dry-run": dryRun, search, quiet, json }, io) {
    const work = workOptions(io, { quiet });
    const { directory, table, text, missing, planned } = await io.library.reproduce(experiment, {
      ...work,
      ...{ overrides, suite, output, jobs, dryRun, search, columns: tableSpace(io).columns },
    });
    if (json) printJson(io, dryRun ? planned : table);
    else if (dryRun) io.stdout.write(planned.length === 0 ? "" : `${plannedText(planned)}\n`);
    else if (table.rows.length > 0) io.stdout.write(text);
    if (table.rows.length > 0 && !dryRun)
      work.log(`report: ${path.join(directory, "report.html")}; table.json, .md, .csv and .tex beside it`);
    if (missing > 0 && !dryRun) work.log(`${missing} cells are missing; the same command goes on`);
    return io.signal.aborted ? EXIT_INTERRUPTED : EXIT_OK;
  },
});

/** A line for each model, its settings last, since they may be long. */
function plannedText(planned: readonly PlannedCell[]): string {
  return planned
    .map(({ row, setting, adapted, suite, seed, settings }) => {
      const what = [setting, adapted, `seed ${seed}`].filter((part) => part !== null).join(", ");
      return `${row} (${what}) on ${path.basename(suite)}${settings === "" ? "" : `: ${settings}`}`;
    })
    .join("\n");
}
