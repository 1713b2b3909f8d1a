/**
 * Run configs and overrides in YAML, as settings with line numbers, and problems. What YAML may be is in strict-yaml.ts.
 */
import { isCollection, isMap, isNode, isScalar } from "yaml";
import { presentKey } from "./former-keys.js";
import { configKeys, unknownKeyText } from "./keys.js";
import type { Problem, Setting } from "./settings.js";
import { parseStrict, plainValue } from "./strict-yaml.js";

/** Configs are written by people; a file larger than this is something else, given by mistake. */
export const MAX_CONFIG_CHARACTERS = 1_000_000;

export interface YamlLayer {
  readonly settings: ReadonlyMap<string, Setting>;
  /** The names under `extends`, with the place of each. */
  readonly extends: readonly { readonly name: string; readonly where: string }[];
  readonly problems: readonly Problem[];
}

/**
 * Settings of a config file's text. `label` is the file as shown to people; relative paths in the file
 * are relative to `directory`. Never throws: mistakes are in `problems`.
 */
export function readYamlLayer(text: string, label: string, directory: string): YamlLayer {
  if (text.length > MAX_CONFIG_CHARACTERS) {
    const found = `expected a config of at most ${MAX_CONFIG_CHARACTERS} characters, found ${text.length}`;
    return { settings: new Map(), extends: [], problems: [{ where: label, text: found }] };
  }
  const parsed = parseStrict(text);
  const problems: Problem[] = parsed.problems.map(({ line, text }) => ({ where: `${label}:${line}`, text }));
  const settings = new Map<string, Setting>();
  const bases: { name: string; where: string }[] = [];
  // Lines of a broken document mean little: report only what the parser said.
  if (problems.length > 0) return { settings, extends: bases, problems };
  const where = (node: unknown) => `${label}:${parsed.lineOf(node)}`;
  const walk = (node: unknown, prefix: string): void => {
    if (!isMap(node)) return;
    for (const pair of node.items) {
      const name = isScalar(pair.key) ? String(pair.key.value) : "";
      const path = presentKey(prefix + name);
      if (path === "extends") {
        bases.push(...readExtends(pair.value, where, problems));
        continue;
      }
      const key = configKeys.get(path);
      if (key === undefined || name.includes("."))
        problems.push({ where: where(pair.key), text: unknownKeyText(path) });
      else if (settings.has(path))
        problems.push({ where: where(pair.key), text: `expected \`${path}\` once, found it by a former name too` });
      else if (key.isSection && isMap(pair.value)) walk(pair.value, `${path}.`);
      else settings.set(path, settingOf(pair.value, where(pair.key), where, directory));
    }
  };
  if (parsed.node !== null && !isMap(parsed.node) && !(isScalar(parsed.node) && parsed.node.value === null))
    problems.push({ where: where(parsed.node), text: "expected `key: value` lines, found another kind of YAML" });
  walk(parsed.node, "");
  return { settings, extends: bases, problems };
}

function settingOf(node: unknown, source: string, where: (node: unknown) => string, directory: string): Setting {
  return {
    value: plainValue(node),
    source,
    directory,
    locate: (inside) => {
      const found = isCollection(node) && inside.length > 0 ? node.getIn(inside, true) : undefined;
      return isNode(found) ? where(found) : source;
    },
  };
}

function readExtends(node: unknown, where: (node: unknown) => string, problems: Problem[]) {
  const items = isCollection(node) ? node.items : [node];
  const bases: { name: string; where: string }[] = [];
  for (const item of items) {
    if (isScalar(item) && typeof item.value === "string" && item.value !== "")
      bases.push({ name: item.value, where: where(item) });
    else
      problems.push({
        where: where(item ?? node),
        text: "extends: expected preset names or paths, e.g. [presets/paper]",
      });
  }
  return bases;
}

/** The value of an override's right-hand side, read as YAML (`0.1`, `true`, `null`, `[a, b]`, text). */
export function readYamlValue(text: string): { readonly value: unknown } | { readonly problem: string } {
  const parsed = parseStrict(text);
  const [problem] = parsed.problems;
  return problem === undefined ? { value: plainValue(parsed.node) } : { problem: problem.text };
}
