/**
 * What decoding one request of a parquet file may allocate, whatever the numbers in the file say. hyparquet makes arrays of as many values as a page
 * claims, and writes runs past the end of arrays that it made. In the thread that decodes (`parquet-worker.ts`, which imports this first), arrays made
 * by size are counted against an allowance, and lists made by size cannot grow. Nothing else runs in that thread.
 */

/** What a small file may take: pages of labels shrink a thousandfold and have some megabytes at most. */
const BASE_BYTES = 2 ** 28;
/** Bytes per byte that was read, beyond that. Images hardly shrink when compressed, arrays of colours rarely so far. */
const MOST_RATIO = 100;
/** Lists per row and leaf of a column (levels, values, converted values, rows), with leaves to spare. */
const LISTS_PER_ROW = 64;
const BASE_VALUES = 2 ** 20;

const left = { bytes: BASE_BYTES, values: BASE_VALUES };

/** Begins a request for so many rows: all of the allowance is there again. */
export function beginAllowance(rows: number): void {
  left.bytes = BASE_BYTES;
  left.values = BASE_VALUES + LISTS_PER_ROW * rows;
}

/** More bytes were read from the file. */
export function allowBytesRead(bytes: number): void {
  left.bytes += MOST_RATIO * bytes;
}

function takeBytes(bytes: number): void {
  left.bytes -= Math.max(0, bytes);
  if (left.bytes < 0) throw new RangeError("pages that say they are far larger than the file could hold");
}

/** A list of that many places that cannot become longer: a run that is longer than its page throws. */
function boundedList(length: number): unknown[] {
  left.values -= Math.max(0, length);
  if (left.values < 0) throw new RangeError("pages that say they have far more values than the file has rows");
  return Object.preventExtensions(new RealArray(length).fill(undefined));
}

const RealArray = Array;
globalThis.Array = new Proxy(Array, {
  construct: (target, args, newTarget) =>
    newTarget === globalThis.Array && isSize(args) ? boundedList(args[0]) : Reflect.construct(target, args, newTarget),
  apply: (target, self, args: unknown[]) => (isSize(args) ? boundedList(args[0]) : Reflect.apply(target, self, args)),
});

type TypedArrayConstructor = { new (...args: never[]): object; readonly BYTES_PER_ELEMENT: number };

function counted<T extends TypedArrayConstructor>(original: T): T {
  return new Proxy(original, {
    construct: (target, args, newTarget) => {
      if (isSize(args)) takeBytes(args[0] * target.BYTES_PER_ELEMENT);
      return Reflect.construct(target, args, newTarget);
    },
  });
}

globalThis.Uint8Array = counted(Uint8Array);
globalThis.Uint16Array = counted(Uint16Array);
globalThis.Uint32Array = counted(Uint32Array);
globalThis.Int32Array = counted(Int32Array);
globalThis.Float32Array = counted(Float32Array);
globalThis.Float64Array = counted(Float64Array);
globalThis.BigInt64Array = counted(BigInt64Array);
globalThis.BigUint64Array = counted(BigUint64Array);

function isSize(args: readonly unknown[]): args is readonly [number] {
  return args.length === 1 && typeof args[0] === "number";
}
