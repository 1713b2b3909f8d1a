/** Configs for people and editors: a config in full with a comment on every key, and the JSON schema of config files. */
import { formatConfig } from "../config/format.js";
import type { LoadedConfig } from "../config/load.js";

export { configJsonSchema } from "../config/keys.js";

/** All settings as YAML, each with what it means; with `sources` also where its value came from. */
export function configText(
  { config, sources }: LoadedConfig,
  options: { readonly sources?: boolean | undefined } = {},
): string {
  return formatConfig(config, options.sources === true ? sources : undefined);
}
