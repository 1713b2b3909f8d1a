/**
 * `adamerge predict`: labels and probabilities for images or texts, by a merged model with its heads. Results are
 * printed as they come.
 */

import path from "node:path";
import { ConfigError } from "../errors.js";
import { EXIT_OK, EXIT_SOME_UNREAD } from "./exit-codes.js";
import { type CliIo, workOptions } from "./io.js";
import { FORMATS, predictionText } from "./prediction-text.js";
import { defineVerb, deviceOption, quietOption, requireWhole, threadsOption } from "./verb.js";

export const predictVerb = defineVerb({
  name: "predict",
  group: "merge",
  usage: "<model> [files..]",
  describe: "Label images or texts with a merged model",
  positionals: {
    model: {
      describe: "Folder of a merged model with heads/, or of the run that it is in",
      type: "string",
      demandOption: true,
    },
    files: {
      describe: "Images or texts: files, folders of them, tables (CSV, TSV, JSON lines, parquet)",
      type: "string",
      array: true,
      default: [] as string[],
    },
  },
  options: {
    text: { describe: "A text itself; may be repeated", type: "string", array: true, requiresArg: true },
    task: { describe: "Only this head; may be repeated", type: "string", array: true, requiresArg: true },
    top: { describe: "Labels of each head, the likeliest", type: "number", default: 1, requiresArg: true },
    format: {
      describe: "csv and jsonl are for programs",
      choices: FORMATS,
      default: "table",
      requiresArg: true,
    },
    column: { describe: "Column of the images' paths or of the texts in tables", type: "string", requiresArg: true },
    "pair-column": { describe: "Column of the other text of pairs", type: "string", requiresArg: true },
    lines: { describe: "Each line of a text file is a text", type: "boolean", default: false },
    device: deviceOption,
    threads: threadsOption,
    quiet: quietOption,
  },
  examples: [
    ["predict runs/mini8/default photos/ --task digits", "Label all images in a folder"],
    ["predict merged reviews.csv --column body --format csv > labels.csv", "Label the texts of a table"],
    ['predict merged --text "It broke after a day" --top 3', "Label a text"],
  ],
  async run(args, io) {
    const { files, text: texts = [], task: tasks, top, threads, device, format, quiet } = args;
    requireWhole("top", top, 1);
    requireWhole("threads", threads, 0);
    if (files.length + texts.length === 0)
      throw new ConfigError("expected files or folders behind the model, or --text TEXT, found neither");
    const { log } = workOptions(io, { quiet });
    const signal = io.refused === undefined ? io.signal : AbortSignal.any([io.signal, io.refused]);
    const notice = (said: string) => log(`notice: ${said}`);
    const predictor = await io.library.openPredictor(path.resolve(io.cwd, args.model), {
      ...{ tasks, device, threads, signal, notice },
    });
    try {
      const printed = predictionText(format, predictor.classes, io.stdout.columns);
      // Not before the first row: what cannot be begun has no heading either.
      let pending = printed.heading;
      const read = { top, column: args.column, pairColumn: args["pair-column"], byLines: args.lines, cwd: io.cwd };
      let [count, unread, first] = [0, 0, ""];
      for await (const row of predictor.predict({ files, texts }, read)) {
        count += 1;
        pending += printed.row(row);
        // A single example that cannot be read is said below, and needs no table.
        if (count > 1 || format !== "table" || !("error" in row)) {
          io.stdout.write(pending);
          pending = "";
        }
        await io.drained?.();
        if (!("error" in row)) continue;
        unread += 1;
        first ||= `${row.source}: ${row.error}`;
      }
      if (unread === 0) return EXIT_OK;
      io.stderr.write(
        `adamerge: ${unread} of ${count} ${predictor.kind}${count === 1 ? "" : "s"} could not be read; ${unread === 1 ? "it is" : "the first is"} ${first}\n`,
      );
      return EXIT_SOME_UNREAD;
    } catch (error) {
      if (isRefused(io)) return EXIT_OK;
      throw error;
    } finally {
      await predictor.close();
    }
  },
});

/** Nobody reads on: main.ts says with which code the command ends. */
function isRefused({ refused, signal }: CliIo): boolean {
  return refused?.aborted === true && !signal.aborted;
}
