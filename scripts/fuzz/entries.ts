/**
 * Safetensors files made from scratch: a sound list of tensors with any names, dtypes and shapes, then up to three faults in
 * what only a file that parses can have wrong: sizes, ranges, fields, equal names. About four in ten stay sound.
 */
import type { Rng } from "../../dist/internal.js";

const NAMES = [
  ...["a", "b.weight", "c.bias", "\u00e9", "\u65e5\u672c", "\u{1f600}", "__proto__", "constructor", "toString"],
  ...[
    "a/b",
    "../up",
    "with space",
    'quo"te',
    "back\\slash",
    "n".repeat(300),
    "\u202eturned",
    "__metadata__",
    "",
    "nul\0",
  ],
];
const DTYPE_BITS: readonly (readonly [string, number])[] = [
  ...(["F32", "F16", "BF16", "F32", "F16", "BF16"] as const).map((name) => [name, name === "F32" ? 32 : 16] as const),
  ...[["BOOL", 8] as const, ["F4", 4] as const, ["F6_E2M3", 6] as const, ["F6_E3M2", 6] as const, ["U8", 8] as const],
  ...[["I8", 8] as const, ["F8_E5M2", 8] as const, ["F8_E4M3", 8] as const, ["F8_E8M0", 8] as const],
  ...[["I16", 16] as const, ["U16", 16] as const, ["I32", 32] as const, ["U32", 32] as const, ["C64", 64] as const],
  ...[["F64", 64] as const, ["I64", 64] as const, ["U64", 64] as const, ["F31", 31] as const],
];
const DIMS = ["-1", "4294967296", "9007199254740991", "9007199254740993", "1e1", "1.0", "true", '"2"', "0"];
const METADATA = [
  "{}",
  "null",
  '{"format":"pt"}',
  '{"tied":"a","tied2":"b.weight"}',
  '{"a":1}',
  "[]",
  '{"a":"b","a":"c"}',
];

/** An entry as text, so that it can hold what no number can. */
interface Entry {
  name: string;
  dtype: string;
  dims: string[];
  begin: number;
  end: number;
  /** Field lists other than dtype, shape and data_offsets, once each. */
  extra: string;
  dropped: string;
}

type Fault = (entries: Entry[], rng: Rng) => void;

const FAULTS: readonly Fault[] = [
  onOne((entry, rng) => {
    entry.begin = Math.max(0, entry.begin + rng.nextInt(17) - 8);
  }),
  onOne((entry, rng) => {
    entry.end = Math.max(0, entry.end + rng.nextInt(17) - 8);
  }),
  onOne((entry, rng) => {
    const by = rng.nextInt(9);
    entry.begin += by;
    entry.end += by;
  }),
  onOne((entry, rng) => {
    entry.dtype = pick(rng, DTYPE_BITS)[0];
  }),
  onOne((entry, rng) => {
    entry.dims[rng.nextInt(entry.dims.length + 1)] = rng.nextInt(2) === 0 ? String(rng.nextInt(7)) : pick(rng, DIMS);
  }),
  onOne((entry, rng) => entry.dims.push(...Array.from({ length: rng.nextInt(200) }, () => "1"))),
  onOne((entry, rng) => {
    entry.extra = pick(rng, [',"strides":[1]', ',"dtype":"F32"', ',"shape":[1]', ',"data_offsets":[0,4]']);
  }),
  onOne((entry, rng) => {
    entry.dropped = pick(rng, ["dtype", "shape", "data_offsets"]);
  }),
  onOne((entry, rng) => {
    entry.name = pick(rng, NAMES);
  }),
  (entries, rng) => {
    const [one, other] = [pick(rng, entries), pick(rng, entries)];
    [one.begin, one.end, other.begin, other.end] = [other.begin, other.end, one.begin, one.end];
  },
  (entries, rng) => entries.push({ ...pick(rng, entries) }),
  (entries, rng) => entries.push({ ...pick(rng, entries), name: pick(rng, NAMES) }),
  (entries, rng) => entries.splice(rng.nextInt(entries.length), 1),
];

function onOne(change: (entry: Entry, rng: Rng) => void): Fault {
  return (entries, rng) => change(pick(rng, entries), rng);
}

function pick<T>(rng: Rng, list: readonly T[]): T {
  const found = list[rng.nextInt(list.length)];
  if (found === undefined) throw new Error("picked from an empty list");
  return found;
}

/** The bytes of a file of up to six tensors. */
export function makeFile(rng: Rng): Uint8Array {
  const entries = soundEntries(rng);
  let dataBytes = entries.at(-1)?.end ?? 0;
  if (rng.nextInt(10) >= 4 && entries.length > 0) {
    for (let fault = 1 + rng.nextInt(3); fault > 0 && entries.length > 0; fault--) pick(rng, FAULTS)(entries, rng);
    if (rng.nextInt(6) === 0) dataBytes = Math.max(0, dataBytes + rng.nextInt(17) - 8);
  }
  const fields = entries.map((entry) => ({ entry, at: rng.nextUint32() })).toSorted((a, b) => a.at - b.at);
  const parts = fields.map(({ entry }) => `${quoted(entry.name, rng)}${blank(rng)}:${entryText(entry, rng)}`);
  if (rng.nextInt(4) === 0) parts.splice(rng.nextInt(parts.length + 1), 0, `"__metadata__":${pick(rng, METADATA)}`);
  const header = Buffer.from(`{${blank(rng)}${parts.join(`${blank(rng)},${blank(rng)}`)}}${blank(rng)}`);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const data = Uint8Array.from({ length: dataBytes }, () => rng.nextInt(256));
  return Buffer.concat([length, header, data]);
}

/** Entries that lie one after another, each of the size of its shape; now and then one whose bits do not fill a byte. */
function soundEntries(rng: Rng): Entry[] {
  const entries: Entry[] = [];
  let position = 0;
  for (let count = rng.nextInt(7); count > 0; count--) {
    const [dtype, bits] = pick(rng, DTYPE_BITS.slice(0, rng.nextInt(20) === 0 ? undefined : -1));
    const dims = Array.from({ length: rng.nextInt(4) }, () => rng.nextInt(5));
    const sizeBytes = Math.ceil((bits * dims.reduce((product, dim) => product * dim, 1)) / 8);
    const name = rng.nextInt(3) === 0 ? pick(rng, NAMES.slice(0, -3)) : `t${count}`;
    entries.push({
      ...{ name, dtype, dims: dims.map(String), begin: position, end: position + sizeBytes, extra: "", dropped: "" },
    });
    position += sizeBytes;
  }
  return entries;
}

function entryText({ dtype, dims, begin, end, extra, dropped }: Entry, rng: Rng): string {
  const fields = [...["dtype", "shape", "data_offsets"].map((field) => ({ field, at: rng.nextUint32() }))].toSorted(
    (a, b) => a.at - b.at,
  );
  const values = new Map([
    ["dtype", `"${dtype}"`],
    ["shape", `[${dims.join(`${blank(rng)},`)}]`],
    ["data_offsets", `[${begin},${blank(rng)}${end}]`],
  ]);
  const kept = fields.filter(({ field }) => field !== dropped);
  return `{${kept.map(({ field }) => `"${field}":${blank(rng)}${values.get(field)}`).join(",")}${extra}}`;
}

/** A name in quotes, its letters now and then as escapes. */
function quoted(name: string, rng: Rng): string {
  if (rng.nextInt(5) > 0) return JSON.stringify(name);
  const units = Array.from({ length: name.length }, (_, index) => name.charCodeAt(index));
  return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("")}"`;
}

function blank(rng: Rng): string {
  return rng.nextInt(8) === 0 ? pick(rng, [" ", "\n", "\t", "\r\n", "  "]) : "";
}
