/**
 * Settings: the dotted keys somebody set, with where. Files, presets and overrides each are one layer of
 * settings; later layers win key by key. Names come from outside, so they live in Maps, never as object keys.
 */
import { ConfigError } from "../errors.js";
import { type ConfigKey, configKeys } from "./keys.js";

/** One mistake in a configuration: `where` is file:line or the override's text. */
export interface Problem {
  readonly where: string;
  readonly text: string;
}

export interface Setting {
  readonly value: unknown;
  /** Where it was set, as shown to people. */
  readonly source: string;
  /** Where a part of the value was set, e.g. `[0, "name"]` of `groups`; the source when unknown. */
  readonly locate: (inside: readonly PropertyKey[]) => string;
  /** What a relative path in the value is relative to. */
  readonly directory: string;
}

export type Settings = Map<string, Setting>;

/** Puts `layer` over `settings`, in place. A value replaces a whole section of that name and the reverse. */
export function applyLayer(settings: Settings, layer: ReadonlyMap<string, Setting>): void {
  for (const [path, setting] of layer) {
    resetKey(settings, path);
    for (let cut = path.lastIndexOf("."); cut > 0; cut = path.lastIndexOf(".", cut - 1))
      settings.delete(path.slice(0, cut));
    settings.set(path, setting);
  }
}

/** Forgets a key, or every key of a section, so that the schema's default holds again. */
export function resetKey(settings: Settings, path: string): void {
  for (const key of [...settings.keys()]) if (key === path || key.startsWith(`${path}.`)) settings.delete(key);
}

/** The nested plain object that the schema validates. Only known keys may be in `settings`. */
export function toObject(
  settings: Settings,
  keys: ReadonlyMap<string, ConfigKey> = configKeys,
): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  const sections = new Map<string, Record<string, unknown>>([["", root]]);
  for (const key of keys.values()) {
    const cut = key.path.lastIndexOf(".");
    const parent = sections.get(key.path.slice(0, Math.max(cut, 0)));
    if (parent === undefined) continue;
    const name = key.path.slice(cut + 1);
    const setting = settings.get(key.path);
    if (setting !== undefined) parent[name] = setting.value;
    else if (key.isSection) {
      const section: Record<string, unknown> = {};
      parent[name] = section;
      sections.set(key.path, section);
    }
  }
  return root;
}

/** One error that tells every problem, one a line. */
export function problemsError(problems: readonly Problem[]): ConfigError {
  const lines = problems.map(({ where, text }) => `${where}: ${text}`);
  const [only] = lines;
  if (lines.length === 1 && only !== undefined) return new ConfigError(only);
  return new ConfigError(
    `${lines.length} problems in the configuration:\n${lines.map((line) => `  ${line}`).join("\n")}`,
  );
}
