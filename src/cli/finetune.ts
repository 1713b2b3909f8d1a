/** `adamerge finetune`: fine-tunes a pretrained model on labelled images or texts and writes a run folder, or goes on in one. */
import { ConfigError } from "../errors.js";
import type { FinetunePlan, FinetuneResult } from "../index.js";
import { EXIT_INTERRUPTED, EXIT_OK } from "./exit-codes.js";
import { familyFlags } from "./families.js";
import { type CliIo, printJson, tableText, workOptions } from "./io.js";
import { defineVerb, jsonOption, overridesPositional, quietOption } from "./verb.js";

const DECIMALS = 2;
const SHOWN_CLASSES = 8;

export const finetuneVerb = defineVerb({
  name: "finetune",
  group: "start",
  usage: "[base] [data] [overrides..]",
  describe: "Fine-tune a pretrained model on labelled images or texts: an expert to merge",
  positionals: {
    base: { describe: "The pretrained model: its folder", type: "string" },
    data: {
      describe: "Labelled images or texts: a folder per class, a table (CSV, TSV, JSON lines), parquet, WebDataset",
      type: "string",
    },
    overrides: { ...overridesPositional, describe: "Settings: key=value; docs/finetune.md lists the keys" },
  },
  options: {
    resume: {
      describe: "Instead of model and data: the folder of a run that stopped, to go on with",
      type: "string",
      requiresArg: true,
    },
    overwrite: { describe: "Replace a run of the same name", type: "boolean", default: false },
    "dry-run": { describe: "Check everything, time a step, and begin no run", type: "boolean", default: false },
    quiet: quietOption,
    json: jsonOption,
  },
  settings: "finetune",
  examples: [
    ["finetune encoder reviews.csv", "All weights and a linear head, three epochs"],
    ["finetune encoder photos/ lora.rank=8 epochs=5", "LoRA, on a folder per class"],
    ["finetune base data head.kind=zero_shot eval.keep=best", "Under a frozen head from the classes' names"],
    ["finetune --resume runs/finetune/reviews", "Go on with a run that was stopped"],
  ],
  async run({ base, data, overrides, resume, overwrite, "dry-run": dryRun, quiet, json }, io) {
    const options = workOptions(io, { quiet, overwrite });
    if (resume !== undefined) {
      const extra = base ?? (overwrite ? "--overwrite" : dryRun ? "--dry-run" : undefined);
      if (extra !== undefined)
        throw new ConfigError(
          `--resume: expected alone, since a run goes on with its own settings, found ${extra} too`,
        );
      return show(await io.library.resumeFinetune(resume, options), { quiet, json }, io);
    }
    if (base === undefined || data === undefined)
      throw new ConfigError(
        `finetune: expected a model and data, or --resume RUN, found ${base === undefined ? "neither" : "a model alone"}; \`adamerge finetune --help\` explains`,
      );
    const given = { ...options, settings: overrides };
    if (!dryRun) return show(await io.library.finetune(base, data, given), { quiet, json }, io);
    const plan = await io.library.planFinetune(base, data, given);
    if (json) printJson(io, plan);
    else io.stdout.write(`${planLines(plan).join("\n")}\n`);
    return EXIT_OK;
  },
});

function planLines({ task, classes, examples, steps, learningRate, ...plan }: FinetunePlan): string[] {
  const more = classes.length > SHOWN_CLASSES ? ", ..." : "";
  return [
    `task: ${task}, ${classes.length} classes (${classes.slice(0, SHOWN_CLASSES).join(", ")}${more})`,
    `examples: ${examples.train} trained on, ${examples.held} held out, ${examples.test} judged at the end`,
    `trained: ${plan.trainedParameters} values in ${plan.trainedTensors} tensors, learning rate ${learningRate}`,
    `time: about ${plan.trainingSeconds.toFixed(0)} s for ${steps} steps of ${plan.stepSeconds.toFixed(3)} s, without evaluations`,
  ];
}

async function show(
  result: FinetuneResult,
  { quiet, json }: { readonly quiet: boolean; readonly json: boolean },
  io: CliIo,
): Promise<number> {
  const { runPath, reason, saved } = result;
  if (json) printJson(io, forJson(result));
  else if (quiet) io.stdout.write(`${runPath}\n`);
  else if (saved !== undefined) io.stdout.write(`${resultLines(result, io).join("\n")}\n`);
  if (reason === "finished") return EXIT_OK;
  const words = ["adamerge finetune --resume", runPath, ...(await familyFlags(io))];
  if (!quiet) io.stderr.write(`to go on: ${words.join(" ")}\n`);
  return EXIT_INTERRUPTED;
}

function resultLines({ runPath, task, accuracyPercent, step, steps, saved }: FinetuneResult, io: CliIo): string[] {
  const percent = (value: number | undefined) => (value === undefined ? "-" : value.toFixed(DECIMALS));
  const { before, held, test } = accuracyPercent;
  return [
    tableText(
      [
        ["task", "before %", "held out %", "test %", "step"],
        [task, percent(before), percent(held), percent(test), `${step} of ${steps}`],
      ],
      io,
    ),
    ...Object.entries(saved ?? {}).map(([what, folder]) => `${what}: ${folder}`),
    `run: ${runPath}`,
  ];
}

/** Null for what is not known. */
function forJson({ accuracyPercent, saved, ...result }: FinetuneResult): object {
  const { before, held, test } = accuracyPercent;
  return {
    ...result,
    accuracyPercent: { before: before ?? null, held: held ?? null, test: test ?? null },
    saved: saved ?? null,
  };
}
