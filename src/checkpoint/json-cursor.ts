/**
 * A strict cursor over JSON text, for headers that come from strangers. It is not a general parser: the
 * caller asks for the values its format has, in place, so nothing recurses deeper than the format.
 * JSON.parse will not do: it keeps the last of two equal keys, rounds integers above 2^53 and takes 1e2 for 100.
 */
import { CheckpointError } from "../errors.js";
import { quote } from "../runtime/printable.js";

/** Deeper values in fields that are skipped unread are an attack or a mistake. */
const MAX_SKIPPED_DEPTH = 64;
/** Four keys for each of 100,000 tensors, and as many of metadata; bounds the sets that find equal keys. */
const MAX_KEYS = 500_000;

const SIMPLE_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/** Reads forward through `text`; `where` (a file, a part of it) opens every error. */
export class JsonCursor {
  private position = 0;
  private keys = 0;

  constructor(
    private readonly text: string,
    private readonly where: string,
  ) {}

  /** Throws CheckpointError that names the place, what was expected there and what was found. */
  fail(expected: string, at = this.position): never {
    const rest = this.text.slice(at, at + 20);
    const found = rest === "" ? "the end" : quote(rest);
    throw new CheckpointError(`${this.where}: expected ${expected} at character ${at}, found ${found}.`);
  }

  /** Steps through `{"key": value, ...}`, calling `onValue` with the cursor before each value. Equal keys fail, and too many. */
  object(what: string, onValue: (key: string) => void): void {
    this.expect("{", what);
    const seen = new Set<string>();
    if (this.accept("}")) return;
    do {
      this.skipBlanks();
      const at = this.position;
      const key = this.string("a quoted key");
      if (seen.has(key)) {
        throw new CheckpointError(
          `${this.where}: expected every key once in ${what}, found ${quote(key)} twice (again at character ${at}). The file is malformed; get it again from its source.`,
        );
      }
      seen.add(key);
      if (++this.keys > MAX_KEYS) this.fail(`at most ${MAX_KEYS} keys`, at);
      this.expect(":", "':'");
      onValue(key);
    } while (this.accept(","));
    this.expect("}", "',' or '}'");
  }

  /** Reads an array of at most `most` integers from 0 to 2^53 - 1. Signs, fractions and exponents fail. */
  unsignedIntegers(what: string, most: number): number[] {
    this.expect("[", `${what} as an array`);
    const values: number[] = [];
    if (this.accept("]")) return values;
    do {
      if (values.length === most) this.fail(`${what} of at most ${most} numbers`);
      values.push(this.unsignedInteger(what));
    } while (this.accept(","));
    this.expect("]", "',' or ']'");
    return values;
  }

  private unsignedInteger(what: string): number {
    this.skipBlanks();
    const digits = /(?:0|[1-9][0-9]*)(?![0-9.eE])/y;
    digits.lastIndex = this.position;
    const match = digits.exec(this.text);
    if (match === null) this.fail(`${what} as unsigned integers`);
    const value = Number(match[0]);
    if (!Number.isSafeInteger(value)) this.fail(`${what} of at most ${Number.MAX_SAFE_INTEGER}`);
    this.position += match[0].length;
    return value;
  }

  /** Reads a string; control characters, unknown escapes and halves of surrogate pairs fail. */
  string(what: string): string {
    this.expect('"', what);
    const start = this.position;
    let value = "";
    let from = start;
    for (;;) {
      const char = this.text[this.position];
      if (char === undefined || char < " ") this.fail("a string without control characters, closed by '\"'");
      if (char === '"' || char === "\\") value += this.text.slice(from, this.position);
      this.position++;
      if (char === '"') break;
      if (char === "\\") {
        value += this.escape();
        from = this.position;
      }
    }
    if (!isWellFormed(value)) this.fail("a string of valid Unicode (no lone surrogates)", start);
    return value;
  }

  private escape(): string {
    const char = this.text[this.position] ?? "";
    const simple = SIMPLE_ESCAPES.get(char);
    if (simple !== undefined) {
      this.position++;
      return simple;
    }
    const hex = this.text.slice(this.position + 1, this.position + 5);
    if (char !== "u" || !/^[0-9a-fA-F]{4}$/.test(hex)) this.fail("a JSON escape", this.position - 1);
    this.position += 5;
    return String.fromCharCode(Number.parseInt(hex, 16));
  }

  /** Skips one value of any kind, at most 64 deep. */
  skipValue(depth = 0): void {
    if (depth > MAX_SKIPPED_DEPTH) this.fail(`values at most ${MAX_SKIPPED_DEPTH} deep`);
    if (this.peek() === "{") {
      this.object("an object", () => this.skipValue(depth + 1));
      return;
    }
    if (this.peek() === '"') {
      this.string("a string");
      return;
    }
    if (this.accept("[")) {
      if (this.accept("]")) return;
      do this.skipValue(depth + 1);
      while (this.accept(","));
      this.expect("]", "',' or ']'");
      return;
    }
    if (!this.match(/(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/y)) this.fail("a JSON value");
  }

  /** Whether the next value is null; consumes it if so. */
  acceptNull(): boolean {
    return this.match(/null/y);
  }

  /** Fails unless only JSON blanks are left. */
  end(): void {
    this.skipBlanks();
    if (this.position < this.text.length) this.fail("nothing after the closing '}' but blanks");
  }

  private match(sticky: RegExp): boolean {
    this.skipBlanks();
    sticky.lastIndex = this.position;
    const match = sticky.exec(this.text);
    if (match === null) return false;
    this.position += match[0].length;
    return true;
  }

  private peek(): string | undefined {
    this.skipBlanks();
    return this.text[this.position];
  }

  private accept(char: string): boolean {
    if (this.peek() !== char) return false;
    this.position++;
    return true;
  }

  private expect(char: string, what: string): void {
    if (!this.accept(char)) this.fail(what);
  }

  private skipBlanks(): void {
    while (" \t\n\r".includes(this.text[this.position] ?? "x")) this.position++;
  }
}

function isWellFormed(value: string): boolean {
  return !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(value);
}
