/**
 * Reads YAML strictly: one document, YAML 1.2 core, every key once, no aliases (a few hundred bytes of
 * them can expand to gigabytes) and no custom tags. Yields settings with line numbers, and problems.
 */
import { isAlias, isCollection, isMap, isNode, isScalar, LineCounter, type Node, parseDocument, visit } from "yaml";
import { configKeys, unknownKeyText } from "./keys.js";
import type { Problem, Setting } from "./settings.js";

/** Configs are written by people; a file larger than this is something else, given by mistake. */
export const MAX_CONFIG_CHARACTERS = 1_000_000;

export interface YamlLayer {
  readonly settings: ReadonlyMap<string, Setting>;
  /** The names under `extends`, with the place of each. */
  readonly extends: readonly { readonly name: string; readonly where: string }[];
  readonly problems: readonly Problem[];
}

interface Parsed {
  readonly node: Node | null;
  readonly lineOf: (node: unknown) => number;
  readonly problems: readonly { readonly line: number; readonly text: string }[];
}

function parseStrict(text: string): Parsed {
  const lines = new LineCounter();
  const options = { lineCounter: lines, prettyErrors: false, uniqueKeys: true, strict: true, version: "1.2" } as const;
  const document = parseDocument(text, options);
  const problems = [...document.errors, ...document.warnings].map((problem) => ({
    line: lines.linePos(problem.pos[0]).line,
    text: explainYaml(problem.code, problem.message),
  }));
  const lineOf = (node: unknown) => (isNode(node) && node.range ? lines.linePos(node.range[0]).line : 1);
  visit(document, (_, node) => {
    if (isAlias(node))
      problems.push({ line: lineOf(node), text: `alias *${node.source}: write the value out instead` });
  });
  return { node: document.contents, lineOf, problems };
}

function explainYaml(code: string, message: string): string {
  if (code === "DUPLICATE_KEY") return "this key is set a second time; keep one of the two";
  if (code === "MULTIPLE_DOCS") return "expected one YAML document, found a second (`---`); split the file";
  return `not valid YAML: ${message}`;
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
      const path = prefix + name;
      if (path === "extends") {
        bases.push(...readExtends(pair.value, where, problems));
        continue;
      }
      const key = configKeys.get(path);
      if (key === undefined || name.includes("."))
        problems.push({ where: where(pair.key), text: unknownKeyText(path) });
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

/** A node's value in arrays and prototype-less objects, so that a key named `__proto__` is only a key. */
function plainValue(node: unknown): unknown {
  if (isMap(node)) {
    const object: Record<string, unknown> = Object.create(null);
    for (const pair of node.items) object[isScalar(pair.key) ? String(pair.key.value) : ""] = plainValue(pair.value);
    return object;
  }
  if (isCollection(node)) return node.items.map(plainValue);
  return isScalar(node) ? node.value : (node ?? null);
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
