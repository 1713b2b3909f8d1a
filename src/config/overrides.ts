/**
 * Overrides on the command line, Hydra's habit: `optimizer.learning_rate=1e-2` sets, `~optimizer` resets a
 * key or a section to its default. The schema is closed, so there is no `+key=` to add one.
 */
import { presentKey } from "./former-keys.js";
import { type ConfigKey, configKeys, unknownKeyText } from "./keys.js";
import { applyLayer, type Problem, resetKey, type Settings } from "./settings.js";
import { readYamlValue } from "./yaml.js";

/** Applies the overrides to `settings` in order, in place; relative paths are relative to `cwd`. Returns the mistakes. */
export function applyOverrides(
  settings: Settings,
  overrides: readonly string[],
  cwd: string,
  keys: ReadonlyMap<string, ConfigKey> = configKeys,
): Problem[] {
  const problems: Problem[] = [];
  for (const override of overrides) {
    const text = applyOverride(settings, override, cwd, keys);
    if (text !== undefined) problems.push({ where: `override ${override}`, text });
  }
  return problems;
}

function applyOverride(
  settings: Settings,
  override: string,
  cwd: string,
  keys: ReadonlyMap<string, ConfigKey>,
): string | undefined {
  if (override.startsWith("~")) {
    const path = presentKey(override.slice(1));
    if (!keys.has(path)) return unknownKeyText(path, keys);
    resetKey(settings, path);
    return undefined;
  }
  const cut = override.indexOf("=");
  if (cut < 1) return "expected key=value or ~key, found neither";
  const path = presentKey(override.slice(0, cut));
  if (path.startsWith("+")) {
    return `keys cannot be added; write ${path.replace(/^\++/, "")}=... to set one of those that \`adamerge config show\` lists`;
  }
  if (path === "extends") return "expected extends in a config file; write a file that extends the preset";
  const key = keys.get(path);
  if (key === undefined) return unknownKeyText(path, keys);
  if (key.isSection) {
    const first = [...keys.keys()].find((other) => other.startsWith(`${path}.`));
    return `\`${path}\` is a section; set one of its keys, e.g. ${first}=..., or reset it with ~${path}`;
  }
  const text = override.slice(cut + 1);
  const read = readYamlValue(text);
  if ("problem" in read) return read.problem;
  // `null` stays null so that the error says what a text is needed for; numbers and the rest are taken as written.
  const value = key.isText && read.value !== null && typeof read.value !== "string" ? text : read.value;
  const source = `override ${override}`;
  applyLayer(settings, new Map([[path, { value, source, directory: cwd, locate: () => source }]]));
  return undefined;
}
