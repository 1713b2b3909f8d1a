/** A configuration as text: commented YAML that loads back to the same configuration, and its fingerprint. */
import { createHash } from "node:crypto";
import { stringify } from "yaml";
import { PLACE_KEYS, valueAt } from "./flat.js";
import { type ConfigKey, configKeys } from "./keys.js";
import { type RunConfig, runConfigSchema } from "./schema.js";

/**
 * The whole configuration as YAML, each key under its description. With `sources` (as loadRunConfig gives
 * them) each value is followed by where it came from, `default` when nothing set it.
 */
export function formatConfig(config: RunConfig, sources?: ReadonlyMap<string, string>): string {
  return formatKeys(config, configKeys.values(), sources);
}

/** The suite, and the settings that differ from their defaults, but for those that only say where a run lies. */
export function formatChanges(config: RunConfig): string {
  const defaults = runConfigSchema.parse({ suite: config.suite });
  const changed = [...configKeys.values()].filter(({ path, isSection }) => {
    if (isSection || PLACE_KEYS.has(path)) return false;
    return path === "suite" || canonicalJson(valueAt(config, path)) !== canonicalJson(valueAt(defaults, path));
  });
  const isShown = ({ path, isSection }: ConfigKey) =>
    changed.some((key) => key.path === path || (isSection && key.path.startsWith(`${path}.`)));
  return formatKeys(config, [...configKeys.values()].filter(isShown));
}

/** These keys of a configuration of any schema as YAML, each under its description. */
export function formatKeys(config: object, keys: Iterable<ConfigKey>, sources?: ReadonlyMap<string, string>): string {
  const lines: string[] = [];
  for (const key of keys) {
    const depth = key.path.split(".").length - 1;
    const indent = "  ".repeat(depth);
    const name = key.path.slice(key.path.lastIndexOf(".") + 1);
    if (depth === 0 && lines.length > 0) lines.push("");
    lines.push(`${indent}# ${key.description}`);
    if (key.isSection) lines.push(`${indent}${name}:`);
    else {
      const value = stringify(valueAt(config, key.path), { collectionStyle: "flow", lineWidth: 0 }).trim();
      // A line break in a source (an override may hold one) would end the comment.
      const source = sources === undefined ? "" : `  # ${(sources.get(key.path) ?? "default").replace(/\s+/g, " ")}`;
      lines.push(`${indent}${name}: ${value}${source}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** Sha256 (hex) of the configuration's canonical JSON: keys sorted, so that only values count. */
export function configFingerprint(config: RunConfig): string {
  return createHash("sha256").update(canonicalJson(config)).digest("hex");
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}:${canonicalJson(entry)}`).join(",")}}`;
}
