/** `adamerge coefficients`: learned coefficients from and to FusionBench, the authors' code and mergekit. */
import path from "node:path";
import { ConfigError } from "../errors.js";
import { nearest } from "../runtime/nearest.js";
import { EXIT_OK } from "./exit-codes.js";
import { workOptions } from "./io.js";
import { defineVerb, overridesPositional } from "./verb.js";

const FORMS = {
  json: "a coefficients.json, as `fit` writes it",
  fusionbench: "an array [tasks, layers] as .npy, for FusionBench's `weights=`",
  official: "the list of rows of the authors' merging_cofficient.py",
  mergekit: "a merge file with a weight for every tensor, for mergekit and `adamerge merge`",
} as const;

export const coefficientsVerb = defineVerb({
  name: "coefficients",
  group: "learn",
  usage: "<config> [overrides..]",
  describe: "Convert coefficients from and to FusionBench, the authors' code and mergekit",
  positionals: {
    config: { describe: "Run config: its suite and tasks", type: "string", demandOption: true },
    overrides: overridesPositional,
  },
  options: {
    from: {
      describe: "Run folder, coefficients.json, .npy [tasks, layers], or the authors' list of rows",
      type: "string",
      demandOption: true,
      requiresArg: true,
    },
    to: { describe: `Form: ${Object.keys(FORMS).join(", ")}`, type: "string", default: "json", requiresArg: true },
    output: {
      describe: "New file to write, apart from all that is read",
      type: "string",
      demandOption: true,
      requiresArg: true,
      alias: "o",
    },
    overwrite: { describe: "Replace the file if it is there", type: "boolean", default: false },
  },
  examples: [
    ["coefficients mini8 --from runs/mini8/default --to fusionbench -o weights.npy", "For FusionBench"],
    ["coefficients mini8 --from weights.npy -o coefficients.json", "And back, for `eval` and `merge`"],
  ],
  async run({ config: file, overrides, from, to, output, overwrite }, io) {
    const known = Object.keys(FORMS);
    const form = (Object.keys(FORMS) as (keyof typeof FORMS)[]).find((name) => name === to);
    if (form === undefined) {
      const guess = nearest(to, known);
      throw new ConfigError(
        `--to: expected one of ${known.join(", ")}, found ${to}${guess === undefined ? "" : `. Did you mean ${guess}?`}`,
      );
    }
    const config = await io.library.loadConfig(file, { overrides, cwd: io.cwd });
    const target = path.resolve(io.cwd, output);
    const { tasks, groups } = await io.library.convertCoefficients(config, {
      ...workOptions(io, { quiet: false, overwrite }),
      from,
      output: target,
      to: form,
    });
    io.stderr.write(`${tasks.length} tasks, ${groups.length} groups: ${FORMS[form]}\n`);
    io.stdout.write(`${target}\n`);
    return EXIT_OK;
  },
});
