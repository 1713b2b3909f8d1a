/** `adamerge report`: the page and the figures of a run, anew from its folder. */
import { EXIT_OK } from "./exit-codes.js";
import { defineVerb } from "./verb.js";

export const reportVerb = defineVerb({
  name: "report",
  usage: "<runs..>",
  describe: "Write report.html and the figures of runs, also of one that goes on",
  positionals: {
    runs: { describe: "Run folders", type: "string", array: true, demandOption: true },
  },
  options: {},
  examples: [["report runs/mini8/default", "Writes runs/mini8/default/report.html, figures/*.svg and *.png"]],
  async run({ runs }, io) {
    const log = (line: string) => void io.stderr.write(`${line}\n`);
    for (const run of runs) io.stdout.write(`${await io.library.report(run, { cwd: io.cwd, log })}\n`);
    return EXIT_OK;
  },
});
