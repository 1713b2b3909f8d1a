/** `adamerge pull`: downloads what a suite names on the Hugging Face hub into its cache, after showing how much that is. */
import type { PulledRepository } from "../index.js";
import { bytesText } from "../track/terminal.js";
import { EXIT_OK } from "./exit-codes.js";
import { type CliIo, printJson, tableText, workOptions } from "./io.js";
import { defineVerb, jsonOption, quietOption } from "./verb.js";

const COMMIT_SHOWN = 10;

export const pullVerb = defineVerb({
  name: "pull",
  group: "merge",
  usage: "<suite>",
  describe: "Download a suite's models and data sets from the Hugging Face hub",
  positionals: {
    suite: {
      describe: "Suite (its folder or suite.yaml, or the name of one that ships)",
      type: "string",
      demandOption: true,
    },
  },
  options: {
    tasks: { describe: "Only these tasks, with commas between (default: all)", type: "string", requiresArg: true },
    splits: {
      describe: "Only these splits, with commas between (default: the suite's adapt, val and test)",
      type: "string",
      requiresArg: true,
    },
    update: { describe: "Ask the hub where branches are now", type: "boolean", default: false },
    "dry-run": { describe: "Show the bytes, and download nothing", type: "boolean", default: false },
    quiet: quietOption,
    json: jsonOption,
  },
  examples: [
    ["pull my-suite --dry-run", "How much it would be"],
    ["pull my-suite --splits test", "Models, and the examples of one split; started again, it goes on where it was"],
  ],
  async run({ suite: given, tasks, splits, update, "dry-run": dryRun, quiet, json }, io) {
    await io.library.pull(given, {
      ...workOptions(io, { quiet }),
      ...{ tasks: listOf(tasks), splits: listOf(splits), update, dryRun },
      onPlan: (repositories) => showPlan(repositories, { json, quiet }, io),
    });
    return EXIT_OK;
  },
});

function listOf(text: string | undefined): string[] | undefined {
  return text
    ?.split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}

/** What there is to download, before it is. */
function showPlan(
  rows: readonly PulledRepository[],
  { json, quiet }: { readonly json: boolean; readonly quiet: boolean },
  io: CliIo,
): void {
  if (json) printJson(io, rows);
  if (json || quiet) return;
  if (rows.length === 0) {
    io.stdout.write("All of the suite is in directories; there is nothing to download.\n");
    return;
  }
  const cells = rows.map(({ type, repository, commit, files, allBytes, missingBytes }) => [
    type,
    repository,
    commit?.slice(0, COMMIT_SHOWN) ?? "not in the cache",
    String(files),
    bytesText(allBytes),
    bytesText(missingBytes),
  ]);
  const total = (key: "allBytes" | "missingBytes") => bytesText(rows.reduce((sum, row) => sum + row[key], 0));
  const header = ["type", "repository", "commit", "files", "size", "to download"];
  io.stdout.write(
    `${tableText([header, ...cells, ["all", "", "", "", total("allBytes"), total("missingBytes")]], io)}\n`,
  );
}
