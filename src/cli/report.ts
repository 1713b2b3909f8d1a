/** `adamerge report`: the page and the figures of runs, anew from their folders, and of several one page that compares them. */
import { EXIT_OK } from "./exit-codes.js";
import { printJson, workOptions } from "./io.js";
import { defineVerb, jsonOption } from "./verb.js";

export const reportVerb = defineVerb({
  name: "report",
  group: "learn",
  usage: "<runs..>",
  describe: "Write report.html and the figures of runs, also of one that goes on; of several also a comparison",
  positionals: {
    runs: { describe: "Run folders", type: "string", array: true, demandOption: true },
  },
  options: {
    output: {
      describe: "Where the comparison of several runs goes; default: comparison.html in the folder they have in common",
      type: "string",
      requiresArg: true,
      alias: "o",
    },
    json: jsonOption,
  },
  examples: [
    ["report runs/mini8/default", "Writes runs/mini8/default/report.html, figures/*.svg and *.png"],
    ["report runs/mini8/a runs/mini8/b", "Writes both reports, and runs/mini8/comparison.html"],
  ],
  async run({ runs, output, json }, io) {
    const { library } = io;
    const { log, cwd } = workOptions(io, { quiet: false });
    const reports: string[] = [];
    for (const run of runs) {
      const page = await library.report(run, { cwd, log });
      reports.push(page);
      if (!json) io.stdout.write(`${page}\n`);
    }
    const comparison = runs.length > 1 ? await library.compareRuns(runs, { cwd, log, file: output }) : undefined;
    if (json) printJson(io, { reports, comparison });
    else if (comparison !== undefined) io.stdout.write(`${comparison}\n`);
    return EXIT_OK;
  },
});
