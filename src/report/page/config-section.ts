/** A configuration: the settings that differ from the defaults, then all of it, folded. */
import { flatConfig } from "../../config/flat.js";
import { formatConfig } from "../../config/format.js";
import { configKeys } from "../../config/keys.js";
import { type RunConfig, runConfigSchema } from "../../config/schema.js";
import { escapeHtml } from "../html.js";
import { dataTable } from "./data-table.js";
import type { Section } from "./page.js";

interface Changed {
  readonly key: string;
  readonly value: string;
  readonly usual: string;
  readonly description: string;
}

export function configSection(config: RunConfig): Section {
  const changed = changedSettings(config);
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
  const all = `<details><summary>All settings</summary>\n<pre>${escapeHtml(formatConfig(config))}</pre></details>`;
  const lead =
    changed.length === 0
      ? "<p>Every setting has its default.</p>"
      : `<p class="hint">The ${changed.length} settings that differ from the defaults.</p>\n${table}`;
  return { id: "config", title: "Configuration", body: `${lead}\n${all}` };
}

/** In the order of the schema; the suite, which has no default, is always among them. */
function changedSettings(config: RunConfig): Changed[] {
  const usual = flatConfig(runConfigSchema.parse({ suite: "-" }));
  return [...flatConfig(config)].flatMap(([key, value]) => {
    const before = key === "suite" ? "–" : (usual.get(key) ?? "–");
    return value === before ? [] : [{ key, value, usual: before, description: configKeys.get(key)?.description ?? "" }];
  });
}
