/** A configuration: the settings that differ from the defaults, then all of it, folded. */
import { flatSettings } from "../../config/flat.js";
import { formatKeys } from "../../config/format.js";
import { type ConfigKey, configKeys } from "../../config/keys.js";
import { type RunConfig, runConfigSchema } from "../../config/schema.js";
import { escapeHtml } from "../html.js";
import { dataTable } from "./data-table.js";
import { NONE } from "./numbers.js";
import type { Section } from "./page.js";

interface Changed {
  readonly key: string;
  readonly value: string;
  readonly usual: string;
  readonly description: string;
}

/** Of a fit. */
export function configSection(config: RunConfig): Section {
  return settingsSection(config, runConfigSchema.parse({ suite: "-" }), configKeys, ["suite"]);
}

/** Of any schema with these keys; `required` have no default, and are always among those that differ. */
export function settingsSection(
  config: object,
  defaults: object,
  keys: ReadonlyMap<string, ConfigKey>,
  required: readonly string[],
): Section {
  const usual = flatSettings(defaults, keys);
  const changed = [...flatSettings(config, keys)].flatMap(([key, value]): Changed[] => {
    const before = required.includes(key) ? NONE : (usual.get(key) ?? NONE);
    return value === before ? [] : [{ key, value, usual: before, description: keys.get(key)?.description ?? "" }];
  });
  const table = dataTable<Changed>({
    label: "Settings that differ from the defaults",
    rows: changed,
    columns: [
      { heading: "setting", cell: ({ key }) => key },
      { heading: "value", cell: ({ value }) => value },
      { heading: "default", cell: ({ usual }) => usual },
      { heading: "what it is", name: "settings", cell: ({ description }) => description },
    ],
  });
  const all = `<details><summary>All settings</summary>\n<pre>${escapeHtml(formatKeys(config, keys.values()))}</pre></details>`;
  const lead =
    changed.length === 0
      ? "<p>Every setting has its default.</p>"
      : `<p class="hint">The ${changed.length} settings that differ from the defaults.</p>\n${table}`;
  return { id: "config", title: "Configuration", body: `${lead}\n${all}` };
}
