/** `adamerge report`: the page and the figures of runs, anew from their folders, and of several one page that compares them. */
import { EXIT_OK } from "./exit-codes.js";
import { defineVerb } from "./verb.js";

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
  },
  examples: [
    ["report runs/mini8/default", "Writes runs/mini8/default/report.html, figures/*.svg and *.png"],
    ["report runs/mini8/a runs/mini8/b", "Writes both reports, and runs/mini8/comparison.html"],
  ],
  async run({ runs, output }, io) {
    const { library } = io;
    const log = (line: string) => void io.stderr.write(`${line}\n`);
    for (const run of runs) io.stdout.write(`${await library.report(run, { cwd: io.cwd, log })}\n`);
    if (runs.length > 1) io.stdout.write(`${await library.compareRuns(runs, { cwd: io.cwd, log, file: output })}\n`);
    return EXIT_OK;
  },
});
