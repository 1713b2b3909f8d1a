/** Bytes of PyTorch files, right and wrong, for the tables of this folder: zip archives record by record, pickles instruction by instruction. */
import { crc32 } from "../../src/checkpoint/crc32.js";

export interface ZipPart {
  readonly name: string;
  readonly data: Uint8Array | string;
  readonly flags?: number;
  readonly method?: number;
  readonly crc?: number;
  /** What the local header says, where it differs. */
  readonly localName?: string;
  readonly localBytes?: number;
  /** The size that both headers say. */
  readonly declaredBytes?: number;
  /** Of the data after compression; the size if absent. */
  readonly packedBytes?: number;
}

/** An archive as PyTorch's writer makes it, without its zip64 end unless `isLong`. */
export function zip(parts: readonly ZipPart[], { isLong = false, count = parts.length } = {}): Uint8Array {
  const local: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const part of parts) {
    const data = Buffer.from(part.data);
    const [name, localName] = [Buffer.from(part.name), Buffer.from(part.localName ?? part.name)];
    const bytes = part.declaredBytes ?? data.length;
    const crc = part.crc ?? crc32(data);
    const { flags = 0, method = 0, packedBytes = bytes, localBytes = packedBytes } = part;
    local.push(u(4, 0x04034b50), u(2, 0), u(2, flags), u(2, method), u(4, 0), u(4, crc), u(4, localBytes));
    local.push(u(4, bytes), u(2, localName.length), u(2, 0), localName, data);
    central.push(
      u(4, 0x02014b50),
      u(4, 0),
      u(2, flags),
      u(2, method),
      u(4, 0),
      u(4, crc),
      u(4, packedBytes),
      u(4, bytes),
    );
    central.push(
      u(2, name.length),
      u(2, isLong ? 12 : 0),
      u(4, 0),
      u(2, 0),
      u(4, 0),
      u(4, isLong ? 0xffff_ffff : offset),
      name,
    );
    if (isLong) central.push(u(2, 1), u(2, 8), u(8, offset));
    offset += 30 + localName.length + data.length;
  }
  const directory = Buffer.concat(central);
  const end = offset + directory.length;
  const end64 = [
    u(4, 0x06064b50),
    u(8, 44),
    u(4, 0),
    u(4, 0),
    u(4, 0),
    u(8, count),
    u(8, count),
    u(8, directory.length),
    u(8, offset),
  ];
  const locator = [u(4, 0x07064b50), u(4, 0), u(8, end), u(4, 1)];
  const [shownCount, shownOffset] = isLong ? [0xffff, 0xffff_ffff] : [count, offset];
  const last = [
    u(4, 0x06054b50),
    u(4, 0),
    u(2, shownCount),
    u(2, shownCount),
    u(4, directory.length),
    u(4, shownOffset),
    u(2, 0),
  ];
  return Buffer.concat([...local, directory, ...(isLong ? [...end64, ...locator] : []), ...last]);
}

function u(size: 2 | 4 | 8, value: number): Buffer {
  const bytes = Buffer.alloc(size);
  if (size === 8) bytes.writeBigUInt64LE(BigInt(value));
  else if (size === 4) bytes.writeUInt32LE(value);
  else bytes.writeUInt16LE(value);
  return bytes;
}

/** Instructions of protocol 2, as their bytes in Latin-1. */
export const op = {
  start: "\x80\x02",
  stop: ".",
  mark: "(",
  tuple: "t",
  reduce: "R",
  dict: "}",
  list: "]",
  append: "a",
  setItem: "s",
  setItems: "u",
  build: "b",
  none: "N",
  persistent: "Q",
  global: (module: string, name: string) => `c${module}\n${name}\n`,
  text: (value: string) => `X${latin(u(4, Buffer.byteLength(value)))}${latin(Buffer.from(value))}`,
  integer: (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    return `J${latin(bytes)}`;
  },
  long: (...bytes: number[]) => `\x8a${String.fromCharCode(bytes.length, ...bytes)}`,
  put: (index: number) => `q${String.fromCharCode(index)}`,
  get: (index: number) => `h${String.fromCharCode(index)}`,
} as const;

const latin = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

export interface MadeTensor {
  readonly type?: string;
  readonly key?: string;
  readonly count?: number;
  readonly offset?: string;
  readonly shape?: readonly (number | string)[];
  readonly strides?: readonly (number | string)[];
}

export function storage({ type = "FloatStorage", key = "0", count = 6 }: MadeTensor = {}): string {
  const id = [op.text("storage"), op.global("torch", type), op.text(key), op.text("cpu"), op.integer(count)];
  return `${op.mark}${id.join("")}${op.tuple}${op.persistent}`;
}

/** A call of _rebuild_tensor_v2; numbers that are texts are instructions. */
export function tensor(made: MadeTensor = {}): string {
  const { offset = op.integer(0), shape = [2, 3], strides = [3, 1] } = made;
  const numbers = (values: readonly (number | string)[]) =>
    `${op.mark}${values.map((value) => (typeof value === "number" ? op.integer(value) : value)).join("")}${op.tuple}`;
  const hooks = `${op.global("collections", "OrderedDict")})${op.reduce}`;
  const args = [storage(made), offset, numbers(shape), numbers(strides), "\x89", hooks];
  return `${op.global("torch._utils", "_rebuild_tensor_v2")}${op.mark}${args.join("")}${op.tuple}${op.reduce}`;
}

/** A dictionary of one entry called t. */
export function dictOf(value: string): string {
  return `${op.start}${op.dict}${op.text("t")}${value}${op.setItem}${op.stop}`;
}

/** The records of a file with this pickle and one storage of six float32. */
export function parts(pickle: string, storageData: Uint8Array = new Uint8Array(24)): ZipPart[] {
  return [
    { name: "f/data.pkl", data: Buffer.from(pickle, "latin1") },
    { name: "f/byteorder", data: "little" },
    { name: "f/data/0", data: storageData },
    { name: "f/version", data: "3\n" },
  ];
}

export function torchFile(pickle: string, storageData?: Uint8Array): Uint8Array {
  return zip(parts(pickle, storageData));
}

/** A state dict of float32 tensors; those in `transposed` (matrices) lie column by column in their storages. */
export function stateDictFile(
  tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>,
  transposed: readonly string[] = [],
): Uint8Array {
  const entries: string[] = [];
  const storages: ZipPart[] = [];
  for (const [index, [name, { shape, data }]] of [...tensors].entries()) {
    const [rows = 1, columns = 1] = shape;
    const isTransposed = transposed.includes(name);
    const strides = isTransposed ? [1, rows] : shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
    const stored = isTransposed ? data.map((_, i) => data[(i % rows) * columns + Math.floor(i / rows)] ?? 0) : data;
    entries.push(op.text(name), tensor({ key: String(index), count: data.length, shape, strides }));
    storages.push({
      name: `f/data/${index}`,
      data: new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength),
    });
  }
  const pickle = `${op.start}${op.dict}${op.mark}${entries.join("")}${op.setItems}${op.stop}`;
  return zip([{ name: "f/data.pkl", data: Buffer.from(pickle, "latin1") }, ...storages], { isLong: true });
}
