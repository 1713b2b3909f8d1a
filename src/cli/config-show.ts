/** `adamerge config show`: the whole configuration a config file and overrides come to. */
import { ConfigError } from "../errors.js";
import { EXIT_OK } from "./exit-codes.js";
import { printJson } from "./io.js";
import { defineVerb, overridesPositional } from "./verb.js";

export const configShowVerb = defineVerb({
  name: "config show",
  group: "machine",
  usage: "[config] [overrides..]",
  describe: "Print the resolved configuration with a comment on every key",
  positionals: {
    config: {
      describe: "Config file (YAML), or the name of one that ships; not needed with --json-schema",
      type: "string",
    },
    overrides: overridesPositional,
  },
  options: {
    source: { describe: "Say where each value came from", type: "boolean", default: false },
    "json-schema": { describe: "Print the JSON Schema of config files, for editors", type: "boolean", default: false },
  },
  examples: [
    ["config show mini8 --source", "Every setting and the line that set it"],
    ["config show --json-schema > adamerge.schema.json", "A schema for your editor"],
  ],
  async run({ config: file, overrides, source, "json-schema": jsonSchema }, io) {
    if (jsonSchema) {
      printJson(io, await io.library.configJsonSchema());
      return EXIT_OK;
    }
    if (file === undefined)
      throw new ConfigError("config show: expected a config file, found none; e.g. adamerge config show mini8");
    const config = await io.library.loadConfig(file, { overrides, cwd: io.cwd });
    io.stdout.write(await io.library.configText(config, { sources: source }));
    return EXIT_OK;
  },
});
