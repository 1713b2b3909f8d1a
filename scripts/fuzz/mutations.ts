/**
 * Mutations of small safetensors files: of the header's text, knowing its grammar (numbers, quotes, nesting, names, lengths), and of
 * the bytes of a whole file. Every mutation is a pure function of the generator, so a case is repeated from its number.
 */
import type { Rng } from "../../dist/internal.js";

/** Numbers at the edges of what a header may hold. */
const NUMBERS = [
  ...["0", "1", "-1", "-0", "1e2", "1.0", "2.5", "01", "+1", "0x10", "1_000", "NaN", "Infinity"],
  ...["4294967296", "9007199254740991", "9007199254740992", "9007199254740993", "9223372036854775808"],
  ...["18446744073709551616", "1e400", '"4"', "null", "true", "[]", "{}"],
];
const TOKENS = [
  ...[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\\",
    "\0",
    " ",
    "\n",
    "\t",
    "\u00a0",
    "\ufeff",
    "\ud800",
    "\\ud800",
    "\\u0000",
  ],
  ...[
    '"__metadata__":',
    '"__metadata__":{"a":"b"},',
    '"__proto__":',
    '"constructor":',
    '"dtype":"F32",',
    '"shape":[2],',
  ],
  ...[
    '"data_offsets":[0,8],',
    '"x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},',
    "BF16",
    "F64",
    "F4",
    "U8",
    "I64",
  ],
];

function pick<T>(rng: Rng, list: readonly T[], fallback: T): T {
  return list[rng.nextInt(list.length)] ?? fallback;
}

type Mutation = (text: string, rng: Rng) => string;

/** One number of the text becomes a near one, or one from the edges. */
const changeNumber: Mutation = (text, rng) => {
  const numbers = [...text.matchAll(/\d+/g)];
  const found = numbers[rng.nextInt(Math.max(1, numbers.length))];
  if (found === undefined) return text;
  const [old] = found;
  const near = String(Number(old) + rng.nextInt(9) - 4);
  return (
    text.slice(0, found.index) +
    (rng.nextInt(2) === 0 ? near : pick(rng, NUMBERS, "0")) +
    text.slice(found.index + old.length)
  );
};

/** Numbers thrice: only they get past the grammar, to the rules about shapes and offsets. */
const HEADER: readonly Mutation[] = [
  ...[changeNumber, changeNumber, changeNumber],
  (text, rng) => cut(text, rng, ""),
  (text, rng) => insert(text, rng, pick(rng, TOKENS, "{")),
  (text, rng) => {
    const at = rng.nextInt(text.length + 1);
    const part = text.slice(at, at + 1 + rng.nextInt(40));
    return insert(text, rng, part);
  },
  (text, rng) => {
    const entries = text.split(/(?<=\}),/);
    const copied = pick(rng, entries, "");
    return [...entries.slice(0, -1), copied, ...entries.slice(-1)].join(",");
  },
  (text, rng) => insert(text, rng, "[".repeat(1 + rng.nextInt(5000))),
  (text, rng) => insert(text, rng, "a".repeat(1 + rng.nextInt(50_000))),
  (text, rng) => cut(text, rng, pick(rng, TOKENS, "")),
];

function cut(text: string, rng: Rng, replacement: string): string {
  const at = rng.nextInt(text.length + 1);
  return text.slice(0, at) + replacement + text.slice(at + rng.nextInt(1 + Math.min(30, text.length)));
}

function insert(text: string, rng: Rng, part: string): string {
  const at = rng.nextInt(text.length + 1);
  return text.slice(0, at) + part + text.slice(at);
}

/** The text with one to three changes. */
export function mutateText(text: string, rng: Rng): string {
  let changed = text;
  for (let change = 1 + rng.nextInt(3); change > 0; change--) changed = pick(rng, HEADER, (t) => t)(changed, rng);
  return changed;
}

const LENGTH_BYTES = 8;

/** The file with one to three changes of its header; the declared length follows, but for one case in eight. */
export function mutateHeader(file: Uint8Array, rng: Rng): Uint8Array {
  const length = Number(Buffer.from(file).readBigUInt64LE(0));
  const text = Buffer.from(file.subarray(LENGTH_BYTES, LENGTH_BYTES + length)).toString("utf8");
  const header = Buffer.from(mutateText(text, rng), "utf8");
  const declared = Buffer.alloc(LENGTH_BYTES);
  const off = rng.nextInt(8) === 0 ? BigInt(rng.nextInt(64)) - 32n : 0n;
  declared.writeBigUInt64LE(BigInt.asUintN(64, BigInt(header.length) + off));
  return Buffer.concat([declared, header, file.subarray(LENGTH_BYTES + length)]);
}

/** Flipped bits, overwritten bytes, cut or prolonged ends, or a splice with `other`. */
export function mutateBytes(file: Uint8Array, other: Uint8Array, rng: Rng): Uint8Array {
  const kind = rng.nextInt(5);
  if (kind === 0) return file.slice(0, rng.nextInt(file.length + 1));
  if (kind === 1) return Buffer.concat([file, Buffer.alloc(1 + rng.nextInt(100), rng.nextInt(256))]);
  if (kind === 2)
    return Buffer.concat([file.slice(0, rng.nextInt(file.length)), other.slice(rng.nextInt(other.length))]);
  // Not slice(): of a Buffer that is a view, and the original would change too.
  const changed = Uint8Array.from(file);
  for (let change = 1 + rng.nextInt(kind === 3 ? 1 : 16); change > 0; change--) {
    const at = rng.nextInt(changed.length);
    changed[at] = kind === 3 ? (changed[at] ?? 0) ^ (1 << rng.nextInt(8)) : rng.nextInt(256);
  }
  return changed;
}
