/** `adamerge sync`: delivers run folders to an MLflow server; what is there already is not sent again. */
import { ConfigError } from "../errors.js";
import { EXIT_OK } from "./exit-codes.js";
import { lightOptions, printJson, workOptions } from "./io.js";
import { defineVerb, jsonOption, quietOption } from "./verb.js";

export const syncVerb = defineVerb({
  name: "sync",
  group: "study",
  usage: "<runs..>",
  describe: "Deliver runs to an MLflow server, each point and file once",
  positionals: {
    runs: {
      describe: "Run folders, or folders that hold some",
      type: "string",
      array: true,
      demandOption: true,
    },
  },
  options: {
    to: {
      describe:
        "The server (default: MLFLOW_TRACKING_URI). One that keeps files in a directory of this machine gets them only below ADAMERGE_ARTIFACT_ROOT, and none is replaced",
      type: "string",
      requiresArg: true,
    },
    experiment: { describe: "Experiment on the server (default: the run's)", type: "string", requiresArg: true },
    model: { describe: "Deliver the merged models too", type: "boolean", default: false },
    register: {
      describe: "Deliver the merged models and register each as a version of this name",
      type: "string",
      requiresArg: true,
    },
    quiet: quietOption,
    json: jsonOption,
  },
  examples: [
    ["sync runs/mini8/default --to http://localhost:5000", "One run"],
    ["sync runs --to http://localhost:5000 --model", "All runs below a folder, with their models"],
  ],
  async run({ runs, to, experiment, model, register, quiet, json }, io) {
    const uri = to ?? io.env.MLFLOW_TRACKING_URI;
    if (!uri) throw new ConfigError("sync: expected a server (--to URI or MLFLOW_TRACKING_URI), found none");
    const { log } = workOptions(io, { quiet });
    const server = { tracking: uri, experiment, model, register };
    const delivered = await io.library.sync(runs, { ...lightOptions(io), log, ...server });
    if (json) printJson(io, delivered);
    else if (quiet) io.stdout.write(delivered.map(({ runId }) => `${runId}\n`).join(""));
    return EXIT_OK;
  },
});
