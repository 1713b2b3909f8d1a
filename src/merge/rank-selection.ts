/**
 * The values at given ranks of a whole model, exactly, in two passes and a few hundred kilobytes: float32 patterns are put in the order of their
 * values, the upper 16 bits of all are counted, then the lower 16 within the bins that the ranks fall in. For methods
 * whose thresholds are quantiles of a flattened task vector. D values in all.
 */
import { binOfRank } from "./bin-of-rank.js";

/** One run of float32 values for each lane (a task, say), in any pieces, the same values on every call. */
export type LaneStream = () => AsyncIterable<readonly Float32Array[]>;

const HALF_BITS = 16;
const BINS = 1 << HALF_BITS;
const LOW_MASK = BINS - 1;
const SIGN = 0x8000_0000;

/** Unsigned patterns in the order of the floats: negative ones are inverted, positive ones get the sign bit. */
function ordered(pattern: number): number {
  return (pattern & SIGN) !== 0 ? ~pattern >>> 0 : (pattern | SIGN) >>> 0;
}

function floatOf(key: number): number {
  const pattern = (key & SIGN) !== 0 ? key & ~SIGN : ~key;
  return new Float32Array(Uint32Array.of(pattern).buffer)[0] ?? 0;
}

function patternsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/**
 * For each lane and each rank r the value that stands at index r (from 0) when the lane's D values are sorted ascending. Ranks
 * outside 0 .. D - 1 are moved to the nearest end. The values must not be NaN.
 */
export async function valuesAtRanks(
  stream: LaneStream,
  ranksOf: (count: number) => readonly number[],
): Promise<number[][]> {
  const high: Float64Array[] = [];
  let count = 0;
  for await (const lanes of stream()) {
    for (const [lane, values] of lanes.entries()) {
      high[lane] ??= new Float64Array(BINS);
      countHigh(high[lane], values);
    }
    count += lanes[0]?.length ?? 0;
  }
  const ranks = ranksOf(count).map((rank) => Math.min(Math.max(rank, 0), count - 1));
  const found = high.map((counts) => ranks.map((rank) => binOfRank(counts, rank)));
  const low = found.map((bins) => new Map(bins.map(({ bin }) => [bin, new Float64Array(BINS)])));
  for await (const lanes of stream()) {
    for (const [lane, values] of lanes.entries()) countLow(low[lane] ?? new Map(), values);
  }
  return found.map((bins, lane) =>
    bins.map(({ bin, before }) => {
      const inBin = binOfRank(low[lane]?.get(bin) ?? new Float64Array(BINS), before);
      return floatOf(((bin << HALF_BITS) | inBin.bin) >>> 0);
    }),
  );
}

function countHigh(counts: Float64Array, values: Float32Array): void {
  const patterns = patternsOf(values);
  for (let i = 0; i < patterns.length; i++) {
    const bin = ordered(patterns[i] ?? 0) >>> HALF_BITS;
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
}

function countLow(bins: ReadonlyMap<number, Float64Array>, values: Float32Array): void {
  const patterns = patternsOf(values);
  for (let i = 0; i < patterns.length; i++) {
    const key = ordered(patterns[i] ?? 0);
    const counts = bins.get(key >>> HALF_BITS);
    if (counts !== undefined) counts[key & LOW_MASK] = (counts[key & LOW_MASK] ?? 0) + 1;
  }
}
