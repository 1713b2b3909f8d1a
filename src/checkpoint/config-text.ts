/**
 * JSON files of models (config.json, preprocessor_config.json) as text: read as Python reads them, which takes NaN and Infinity for numbers and
 * the last of equal keys, and changed key by key with every other byte left as it is. Written anew by JSON.stringify, 1.0 would become 1, which
 * transformers 5 refuses in a field of floats, and large integers would be rounded. Not for formats of our own, nor for headers and indexes
 * (json-cursor.ts). Source: Python's json module, decoder.py.
 */
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";

/** Published ones nest less than ten deep, and Python's reader gives up at some 1,000. */
const MAX_DEPTH = 100;
/** The label names of ImageNet-21k are 44,000; a config file of ten megabytes could hold millions. */
const MAX_VALUES = 300_000;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
/** What JSON has, and what Python adds. */
const WORDS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["true", true],
  ["false", false],
  ["null", null],
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

export type ConfigScalar = string | number | boolean | null;

/** Sets the key at the end of `path`, or removes it where `value` is undefined. */
export interface ConfigChange {
  readonly path: readonly string[];
  readonly value: ConfigScalar | readonly string[] | ReadonlyMap<string, ConfigScalar> | undefined;
}

/** A value with its place in the text. */
interface Located {
  readonly start: number;
  readonly end: number;
  /** Of an object, repeated keys included. */
  readonly members?: readonly Member[];
  /** Of an array. */
  readonly items?: readonly Located[];
}

interface Member {
  readonly key: string;
  /** Just behind the brace or the comma before the key. */
  readonly from: number;
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly value: Located;
}

/** Parses a text, a byte order mark before it allowed. `where` is the file, for errors. Throws CheckpointError with the place of a mistake. */
export function parseConfig(text: string, where: string): unknown {
  return parsed(text, locate(text, where));
}

/**
 * The text with these keys changed and every other byte as it is. A key that has the value already stays as it is written; of equal keys the
 * last one is changed, since it is the one that counts. A new key comes last, spaced as its neighbours. Throws CheckpointError for text that is
 * not JSON, or where what holds the key is no object.
 */
export function editConfig(text: string, changes: readonly ConfigChange[], where: string): string {
  return changes.reduce((edited, change) => apply(edited, change, where), text);
}

/** The text of the value at `path`; undefined where there is none. */
export function configTextAt(text: string, path: readonly string[], where: string): string | undefined {
  const found = follow(locate(text, where), path);
  return found === undefined ? undefined : text.slice(found.start, found.end);
}

function apply(text: string, { path, value }: ConfigChange, where: string): string {
  const key = path.at(-1) ?? "";
  const holder = follow(locate(text, where), path.slice(0, -1));
  if (holder?.members === undefined) {
    if (value === undefined) return text;
    const place = path.slice(0, -1).join(".");
    throw new CheckpointError(
      `${where}: expected an object${place === "" ? "" : ` ${quote(place)}`} to set ${quote(key)} in, found none.`,
    );
  }
  if (value === undefined) return without(text, holder.members, key);
  // fromEntries defines: a key __proto__ is one like any other.
  const written = JSON.stringify(value instanceof Map ? Object.fromEntries(value) : value);
  const member = last(holder.members, key);
  if (member === undefined) return withNew(text, holder, `${JSON.stringify(key)}`, written);
  if (JSON.stringify(parsed(text, member.value)) === written) return text;
  return splice(text, member.value.start, member.value.end, written);
}

function withNew(text: string, holder: Located, key: string, written: string): string {
  const neighbour = holder.members?.at(-1);
  if (neighbour === undefined) return splice(text, holder.start + 1, holder.start + 1, `${key}: ${written}`);
  const before = text.slice(neighbour.from, neighbour.keyStart);
  const between = text.slice(neighbour.keyEnd, neighbour.value.start);
  return splice(text, neighbour.value.end, neighbour.value.end, `,${before}${key}${between}${written}`);
}

/** Without every member of this name: an earlier one would count when the last is gone. */
function without(text: string, members: readonly Member[], key: string): string {
  const [first, end] = [members[0], members.at(-1)?.value.end];
  if (first === undefined || end === undefined || last(members, key) === undefined) return text;
  const kept = members.flatMap((member, index) => {
    const next = members[index + 1];
    return member.key === key ? [] : [text.slice(member.from, next === undefined ? end : next.from - 1)];
  });
  return splice(text, first.from, end, kept.join(","));
}

function splice(text: string, from: number, to: number, by: string): string {
  return text.slice(0, from) + by + text.slice(to);
}

function follow(root: Located, path: readonly string[]): Located | undefined {
  let found: Located | undefined = root;
  for (const key of path) found = found?.members === undefined ? undefined : last(found.members, key)?.value;
  return found;
}

function last(members: readonly Member[], key: string): Member | undefined {
  return members.findLast((member) => member.key === key);
}

function parsed(text: string, { start, end, members, items }: Located): unknown {
  // fromEntries defines: a key __proto__ is one like any other.
  if (members !== undefined) return Object.fromEntries(members.map(({ key, value }) => [key, parsed(text, value)]));
  if (items !== undefined) return items.map((item) => parsed(text, item));
  const written = text.slice(start, end);
  return WORDS.has(written) ? WORDS.get(written) : JSON.parse(written);
}

function locate(text: string, where: string): Located {
  return new Reader(text, where).whole();
}

/** Reads forward through the text and notes where values are. */
class Reader {
  private position = 0;
  private values = 0;

  constructor(
    private readonly text: string,
    private readonly where: string,
  ) {}

  whole(): Located {
    if (this.text.startsWith("\ufeff")) this.position = 1;
    const value = this.value(0);
    this.skipBlanks();
    if (this.position < this.text.length) this.fail("nothing behind the value");
    return value;
  }

  private value(depth: number): Located {
    if (depth > MAX_DEPTH) this.fail(`values at most ${MAX_DEPTH} deep`);
    if (++this.values > MAX_VALUES) this.fail(`at most ${MAX_VALUES} values`);
    this.skipBlanks();
    const start = this.position;
    const first = this.text[start];
    if (first === "{") return this.object(start, depth);
    if (first === "[") return this.array(start, depth);
    if (first === '"') this.string();
    else this.scalar();
    return { start, end: this.position };
  }

  private object(start: number, depth: number): Located {
    const members: Member[] = [];
    this.position++;
    let from = this.position;
    if (this.accept("}")) return { start, end: this.position, members };
    do {
      from = this.position;
      this.skipBlanks();
      const keyStart = this.position;
      if (this.text[keyStart] !== '"') this.fail("a key in double quotes");
      const key = this.string();
      const keyEnd = this.position;
      if (!this.accept(":")) this.fail("':'");
      members.push({ key, from, keyStart, keyEnd, value: this.value(depth + 1) });
    } while (this.accept(","));
    if (!this.accept("}")) this.fail("',' or '}'");
    return { start, end: this.position, members };
  }

  private array(start: number, depth: number): Located {
    const items: Located[] = [];
    this.position++;
    if (this.accept("]")) return { start, end: this.position, items };
    do items.push(this.value(depth + 1));
    while (this.accept(","));
    if (!this.accept("]")) this.fail("',' or ']'");
    return { start, end: this.position, items };
  }

  private string(): string {
    const start = this.position;
    let at = start + 1;
    while (at < this.text.length && this.text[at] !== '"') at += this.text[at] === "\\" ? 2 : 1;
    if (at >= this.text.length) this.fail("a string closed by '\"'");
    this.position = at + 1;
    try {
      return JSON.parse(this.text.slice(start, this.position));
    } catch {
      return this.fail("a string without control characters and with JSON's escapes", start);
    }
  }

  private scalar(): void {
    for (const word of WORDS.keys()) {
      if (!this.text.startsWith(word, this.position)) continue;
      this.position += word.length;
      return;
    }
    NUMBER.lastIndex = this.position;
    const found = NUMBER.exec(this.text)?.[0];
    if (found === undefined) this.fail("a value");
    this.position += found.length;
  }

  private accept(char: string): boolean {
    this.skipBlanks();
    if (this.text[this.position] !== char) return false;
    this.position++;
    return true;
  }

  private skipBlanks(): void {
    while (" \t\n\r".includes(this.text[this.position] ?? "x")) this.position++;
  }

  private fail(expected: string, at = this.position): never {
    const before = this.text.slice(0, at).split("\n");
    const rest = this.text.slice(at, at + 20);
    throw new CheckpointError(
      `${this.where}: expected JSON with ${expected} at line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}, found ${rest === "" ? "the end" : quote(rest)}. Get the file again.`,
    );
  }
}
