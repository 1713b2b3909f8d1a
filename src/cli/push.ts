/** `adamerge push`: a saved model to a repository on the Hugging Face hub. */
import type { PushResult } from "../index.js";
import { alignedText } from "../report/table.js";
import { bytesText } from "../track/terminal.js";
import { EXIT_OK } from "./exit-codes.js";
import { printJson, workOptions } from "./io.js";
import { defineVerb, jsonOption, quietOption } from "./verb.js";

export const pushVerb = defineVerb({
  name: "push",
  group: "merge",
  usage: "<model> <repository>",
  describe: "Put a merged model on the Hugging Face hub",
  positionals: {
    model: { describe: "Folder of a merged model, or of the run that it is in", type: "string", demandOption: true },
    repository: { describe: "org/name, made if it is not there", type: "string", demandOption: true },
  },
  options: {
    private: { describe: "Make a new repository private", type: "boolean", default: false },
    revision: { describe: "Branch, made if it is not there (default: main)", type: "string", requiresArg: true },
    message: { describe: "Of the commit", type: "string", requiresArg: true },
    token: {
      describe:
        "Access token, seen by others in lists of processes (default: HF_TOKEN, or the file of `hf auth login`)",
      type: "string",
      requiresArg: true,
    },
    "dry-run": { describe: "List the files and their sizes, and send nothing", type: "boolean", default: false },
    quiet: quietOption,
    json: jsonOption,
  },
  examples: [
    ["push merged me/my-merge --private --dry-run", "What would be sent"],
    ["push runs/mini8/default me/my-merge", "The model of a run; again, it sends only what has changed"],
  ],
  async run({ model, repository, private: isPrivate, revision, message, token, quiet, json, ...args }, io) {
    const dryRun = args["dry-run"];
    const options = workOptions(io, { quiet });
    const settings = { isPrivate, revision, message, token, dryRun };
    const result = await io.library.push(model, repository, { ...options, ...settings });
    if (json) printJson(io, result);
    else if (dryRun) io.stdout.write(`${listing(result)}\n`);
    else io.stdout.write(`${result.url}\n`);
    if (json || dryRun || quiet) return EXIT_OK;
    const { sent, unchanged, removed, commit = "" } = result;
    const bytes = bytesText(sent.reduce((sum, file) => sum + file.bytes, 0));
    const rest = [
      ...(unchanged.length > 0 ? [`${unchanged.length} unchanged`] : []),
      ...(removed.length > 0 ? [`removed ${removed.join(", ")}`] : []),
    ].map((text) => `; ${text}`);
    options.log(`sent ${sent.length} files, ${bytes}${rest.join("")}; commit ${commit.slice(0, COMMIT_SHOWN)}`);
    return EXIT_OK;
  },
});

const COMMIT_SHOWN = 10;

function listing(result: PushResult): string {
  const { sent, unchanged, removed, repository, branch, isNew } = result;
  const rows = [
    ...sent.map(({ name, bytes }) => [name, bytesText(bytes), "to send"]),
    ...unchanged.map(({ name, bytes }) => [name, bytesText(bytes), "unchanged"]),
    ...removed.map((name) => [name, "", "to remove"]),
  ];
  const total = sent.reduce((sum, { bytes }) => sum + bytes, 0);
  const where = `${repository}${branch === "main" ? "" : `@${branch}`}${isNew ? " (new)" : ""}`;
  return `${alignedText([["file", "size", ""], ...rows, ["all to send", bytesText(total), where]])}`;
}
