/** A configuration as one text per key, for places that know no nesting: trackers' parameters, comparisons. */
import { type ConfigKey, configKeys } from "./keys.js";
import type { RunConfig } from "./schema.js";

/** Where a run lies is not a setting of it. */
export const PLACE_KEYS: ReadonlySet<string> = new Set(["output", "name", "experiment"]);

/** Every key that holds a value, dotted, in the order of the schema, but for those that only say where the run lies; texts as they are, the rest as JSON. */
export function flatConfig(config: RunConfig): Map<string, string> {
  return flatSettings(config, configKeys);
}

/** The same of settings of any schema, by its keys. */
export function flatSettings(config: object, keys: ReadonlyMap<string, ConfigKey>): Map<string, string> {
  const values = [...keys.values()].filter(({ isSection, path }) => !isSection && !PLACE_KEYS.has(path));
  return new Map(
    values.map(({ path }) => {
      const value = valueAt(config, path);
      return [path, typeof value === "string" ? value : (JSON.stringify(value) ?? "null")];
    }),
  );
}

/** Settings that change no number of a run; the suite's contents have fingerprints of their own. */
const FREE_KEYS: ReadonlySet<string> = new Set([
  ...["suite", "checkpoint_every", "save_report", "report_examples", "save_model", "log_model", "register_model"],
  "data.cache_gb",
]);

/** The keys of `flatConfig` that change a run's numbers. */
export function decisiveSettings(config: RunConfig): Map<string, string> {
  return new Map([...flatConfig(config)].filter(([key]) => !FREE_KEYS.has(key)));
}

/** The value at a dotted path; undefined where there is none. */
export function valueAt(root: unknown, dotted: string): unknown {
  return dotted
    .split(".")
    .reduce<unknown>((at, part) => (typeof at === "object" && at !== null ? Reflect.get(at, part) : undefined), root);
}
