/**
 * The one reader of YAML that people and strangers wrote: one document of YAML 1.2 (core), every key once, no tags of
 * its own, aliases only for readers that take them and within bounds, bounded in size and depth, in time that grows with the size. Values know their lines. What they
 * mean is checked by whoever reads the file.
 */
import {
  Composer,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  Lexer,
  LineCounter,
  type Node,
  Parser,
  visit,
} from "yaml";
import { ConfigError } from "../errors.js";
import { printable } from "../runtime/printable.js";
import { type InputErrorClass, readText } from "../runtime/regular-file.js";
import { type AliasTargets, aliasTargets } from "./yaml-aliases.js";

/**
 * Merge files with a weight for each tensor of large models have some megabytes; what is larger was not written to be
 * read.
 */
export const MAX_YAML_CHARACTERS = 10_000_000;
/**
 * Entries on the parser's stack, some two for each level. People nest ten levels deep; recursion ends the process at
 * some thousands.
 */
const MAX_STACK = 200;
/** A file of another kind has a mistake on every line. */
const MOST_PROBLEMS = 20;

/** Of a document without aliases. */
const NONE: AliasTargets = new Map();

export interface YamlOptions {
  /** Whether the reader takes aliases (yaml-aliases.ts); a file that people share among themselves is plainer without. */
  readonly aliases?: boolean;
}

export interface StrictYaml {
  readonly node: Node | null;
  /** The line of a node, from 1; 1 for anything else. */
  readonly lineOf: (node: unknown) => number;
  /** What aliases stand for; empty for readers that take none. */
  readonly targets: AliasTargets;
  /** Each with its line. Where there are any, the node means little. */
  readonly problems: readonly { readonly line: number; readonly text: string }[];
}

export interface LocatedYaml {
  /** Arrays, scalars and objects without prototype, so that a key named `__proto__` is only a key. */
  readonly value: unknown;
  /** `file:line` of the value at a key path, or of its nearest parent. */
  locate(path: readonly PropertyKey[]): string;
}

/**
 * Reads a file of `what` ("a merge file"), called `label` in messages. Throws ConfigError as `parseYaml`, and for what
 * is no readable text.
 */
export async function readYamlFile(
  file: string,
  what: string,
  { label = file, ...options }: YamlOptions & { readonly label?: string } = {},
): Promise<LocatedYaml & { readonly text: string }> {
  // A character has one to four bytes.
  const text = await readText(file, what, 4 * MAX_YAML_CHARACTERS, ConfigError);
  return { ...parseYaml(text, label, options), text };
}

/** `label` is the file as shown to people. Throws `Failure` with every mistake, each with its line. */
export function parseYaml(
  text: string,
  label: string,
  { Failure = ConfigError, ...options }: YamlOptions & { readonly Failure?: InputErrorClass } = {},
): LocatedYaml {
  const { node, lineOf, targets, problems } = parseStrict(text, options);
  if (problems.length > 0)
    throw new Failure(problems.map((problem) => `${label}:${problem.line}: ${problem.text}`).join("\n"));
  const locate = (path: readonly PropertyKey[]): string => {
    let [found, at] = [node as unknown, lineOf(node)];
    for (const key of path) {
      const pair = isMap(found) ? found.items.find((item) => keyText(item.key) === String(key)) : undefined;
      found = pair?.value ?? (isCollection(found) && typeof key === "number" ? found.items[key] : undefined);
      const line = pair === undefined ? found : (pair.value ?? pair.key);
      if (!isNode(line)) break;
      at = lineOf(line);
      found = targets.get(found) ?? found;
    }
    return `${label}:${at}`;
  };
  return { value: plainValue(node, targets), locate };
}

/** Never throws. */
export function parseStrict(text: string, { aliases = false }: YamlOptions = {}): StrictYaml {
  if (text.length > MAX_YAML_CHARACTERS) {
    const found = `expected YAML of at most ${MAX_YAML_CHARACTERS} characters, found ${text.length}`;
    return { node: null, lineOf: () => 1, targets: NONE, problems: [{ line: 1, text: found }] };
  }
  const lines = new LineCounter();
  const lineOf = (node: unknown) => (isNode(node) && node.range ? lines.linePos(node.range[0]).line : 1);
  // Equal keys are looked for below: the library compares each key with every other.
  const composer = new Composer({ uniqueKeys: false, strict: true, version: "1.2" });
  try {
    const [document, second] = composer.compose(boundedTokens(text, lines), true, text.length);
    if (document === undefined) return { node: null, lineOf, targets: NONE, problems: [] };
    const problems = [...document.errors, ...document.warnings].map(({ pos, message }) => ({
      line: lines.linePos(pos[0]).line,
      text: `not valid YAML: ${printable(message)}`,
    }));
    if (second !== undefined) {
      const { line } = lines.linePos(second.range[0]);
      problems.push({ line, text: "expected one YAML document, found a second (`---`); split the file" });
    }
    const node = document.contents;
    visit(node, (_, found) => {
      const problem = aliases && isAlias(found) ? undefined : problemOf(found);
      if (problem !== undefined) problems.push({ line: lineOf(problem.node), text: problem.text });
      return problems.length > MOST_PROBLEMS ? visit.BREAK : undefined;
    });
    const aliased = aliases && problems.length === 0 ? aliasTargets(node) : { targets: NONE };
    if (aliased.problem !== undefined)
      problems.push({ line: lineOf(aliased.problem.node), text: aliased.problem.text });
    const more = { line: problems[MOST_PROBLEMS]?.line ?? 1, text: "more mistakes from here on; is this a YAML file?" };
    return {
      node,
      lineOf,
      targets: aliased.targets,
      problems: problems.length > MOST_PROBLEMS ? [...problems.slice(0, MOST_PROBLEMS), more] : problems,
    };
  } catch (error) {
    if (!(error instanceof TooDeepError)) throw error;
    return { node: null, lineOf, targets: NONE, problems: [{ line: error.line, text: error.message }] };
  }
}

class TooDeepError extends Error {
  constructor(readonly line: number) {
    super(`expected values inside each other some ${MAX_STACK / 2} levels deep at most, found more`);
  }
}

/** As the library's own loop, which has no bound. */
function* boundedTokens(text: string, lines: LineCounter) {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme);
    if (parser.stack.length > MAX_STACK) throw new TooDeepError(lines.linePos(parser.offset).line);
  }
  yield* parser.end();
}

function problemOf(found: unknown): { readonly node: unknown; readonly text: string } | undefined {
  // Aliases can expand a few hundred bytes to gigabytes.
  if (isAlias(found)) return { node: found, text: `alias *${printable(found.source)}: write the value out instead` };
  if (!isMap(found)) return undefined;
  const seen = new Set<string>();
  for (const { key } of found.items) {
    const name = keyText(key);
    if (name === undefined)
      return { node: key, text: "expected a key that is a text or number, found another kind of YAML" };
    if (seen.has(name)) return { node: key, text: "this key is set a second time; keep one of the two" };
    seen.add(name);
  }
  return undefined;
}

function keyText(key: unknown): string | undefined {
  return isScalar(key) ? String(key.value) : undefined;
}

/** A node's value in arrays and prototype-less objects, each alias written out. */
export function plainValue(node: unknown, targets: AliasTargets = NONE): unknown {
  if (isAlias(node)) return plainValue(targets.get(node), targets);
  if (isMap(node)) {
    const object: Record<string, unknown> = Object.create(null);
    for (const pair of node.items) object[keyText(pair.key) ?? ""] = plainValue(pair.value, targets);
    return object;
  }
  if (isCollection(node)) return node.items.map((item) => plainValue(item, targets));
  return isScalar(node) ? node.value : (node ?? null);
}
