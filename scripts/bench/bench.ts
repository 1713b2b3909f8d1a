/** `npm run bench -- <what>`: the measurements behind every claim about speed and memory. Each is a command of its own. */
import yargs from "yargs";
import { buildsCommand } from "./builds.js";
import { bundleCommand } from "./bundle.js";
import { finetuneCommand } from "./finetune.js";
import { fitCommand } from "./fit.js";
import { memoryCommand } from "./memory.js";
import { mergeCommand } from "./merge.js";
import { stepCommand } from "./step.js";
import { sweepCommand } from "./sweep.js";

await yargs(process.argv.slice(2))
  .scriptName("npm run bench --")
  .usage(
    "$0 <what> [options]\n\nMeasures adamerge beside a peer in the same run; ratios and medians, since machines are noisy.",
  )
  .command(stepCommand)
  .command(finetuneCommand)
  .command(fitCommand)
  .command(memoryCommand)
  .command(mergeCommand)
  .command(sweepCommand)
  .command(bundleCommand)
  .command(buildsCommand)
  .demandCommand(1, "Name what to measure.")
  .strict()
  .help()
  .parseAsync();
