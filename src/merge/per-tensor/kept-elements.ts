/**
 * The largest elements of a tensor by magnitude, exactly as many as asked for and without sorting them all: a sample says between which
 * magnitudes the border is, one pass counts what is above and collects what is between. Where the sample is wrong, or too much lies between
 * (many equal values), two passes of counting find it. Of equal magnitudes at the border the first in the tensor are kept. M models, N elements.
 */
import type { TensorPiece, TensorToMerge } from "./tensor-method.js";

const MAGNITUDE = 0x7fff_ffff;
const LOW_BITS = 15;
const HIGH_BINS = 1 << 16;
const LOW_BINS = 1 << LOW_BITS;

/** A border between magnitudes: everything above it, and as many of those that equal it. */
interface Border {
  /** Bit pattern of the float32 magnitude. */
  readonly pattern: number;
  readonly equalOnes: number;
}

/**
 * Looks at the tensor and returns what makes a function that sets all but the `countsM` largest elements of each model to 0, in place. Each such
 * function takes all pieces once, in order.
 */
export function trimToLargest(tensor: TensorToMerge, countsM: readonly number[]): () => (piece: TensorPiece) => void {
  if (countsM.every((count) => count >= tensor.size)) return () => () => {};
  const borders = bordersOf(tensor, countsM);
  return () => {
    const left = borders.map(({ equalOnes }) => equalOnes);
    return ({ modelsMN }) => {
      for (const [model, values] of modelsMN.entries()) {
        const count = countsM[model] ?? 0;
        if (count === 0) values.fill(0);
        if (count === 0 || count >= tensor.size) continue;
        left[model] = trim(patternsOf(values), borders[model]?.pattern ?? 0, left[model] ?? 0);
      }
    };
  };
}

/** Returns how many of the elements at the border may still be kept. What is below is masked away: a branch would be mispredicted. */
function trim(patterns: Uint32Array, border: number, equalOnes: number): number {
  let left = equalOnes;
  for (let i = 0; i < patterns.length; i++) {
    const pattern = patterns[i] ?? 0;
    const magnitude = pattern & MAGNITUDE;
    if (magnitude === border && left > 0) left -= 1;
    else patterns[i] = pattern & -(+(magnitude > border) | 0);
  }
  return left;
}

function bordersOf(tensor: TensorToMerge, countsM: readonly number[]): Border[] {
  const brackets = sampledBrackets(tensor, countsM);
  const found = collect(tensor, brackets).map((collected, model) =>
    borderOf(brackets[model] ?? { low: 0, high: 0 }, collected, countsM[model] ?? 0),
  );
  // Whole models at once: a stream goes through all of them in any case.
  return found.every((border) => border !== undefined) ? found : countedBorders(tensor, countsM);
}

/** Patterns of magnitudes, both ends included. */
interface Bracket {
  readonly low: number;
  readonly high: number;
}

const SAMPLE = 1 << 14;
/** Standard deviations of a rank in the sample to each side: beyond them the border lies once in millions. */
const DEVIATIONS = 6;

/** From evenly spaced elements, between which magnitudes the border of each model should lie. */
function sampledBrackets(tensor: TensorToMerge, countsM: readonly number[]): Bracket[] {
  // An odd distance, so that it is no multiple of a row.
  const step = Math.max(1, Math.floor(tensor.size / SAMPLE)) | 1;
  const samples: number[][] = countsM.map(() => []);
  for (const { from, modelsMN } of tensor.stream()) {
    const first = (step - (from % step)) % step;
    for (const [model, values] of modelsMN.entries()) {
      const patterns = patternsOf(values);
      for (let i = first; i < patterns.length; i += step) samples[model]?.push((patterns[i] ?? 0) & MAGNITUDE);
    }
  }
  return samples.map((sample, model) => {
    const sorted = Uint32Array.from(sample).sort();
    const share = 1 - (countsM[model] ?? 0) / tensor.size;
    const deviation = DEVIATIONS * Math.sqrt(share * (1 - share) * sorted.length) + 1;
    const at = (rank: number): number => sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(rank)))] ?? 0;
    const rank = share * sorted.length;
    return {
      low: rank - deviation < 0 ? 0 : at(rank - deviation),
      high: rank + deviation >= sorted.length ? MAGNITUDE : at(rank + deviation),
    };
  });
}

interface Collected {
  /** Elements above the bracket, at its upper end, and at its lower end where that is another. */
  readonly above: number;
  readonly atHigh: number;
  readonly atLow: number;
  /** Patterns strictly within it. */
  readonly between: Uint32Array;
  readonly tooMany: boolean;
}

/** Share of a tensor that is worth collecting. */
const MOST_COLLECTED = 0.25;

function collect(tensor: TensorToMerge, brackets: readonly Bracket[]): Collected[] {
  const most = Math.ceil(tensor.size * MOST_COLLECTED);
  const counts = brackets.map(() => ({ above: 0, atHigh: 0, atLow: 0, between: 0 }));
  const kept = brackets.map(() => new Uint32Array(most + 1));
  for (const { modelsMN } of tensor.stream())
    for (const [model, values] of modelsMN.entries()) {
      const [bracket, own, count] = [brackets[model], kept[model], counts[model]];
      if (bracket !== undefined && own !== undefined && count !== undefined)
        collectPiece(patternsOf(values), bracket, own, count);
    }
  return counts.map(({ above, atHigh, atLow, between }, model) => ({
    above,
    atHigh,
    atLow: brackets[model]?.low === brackets[model]?.high ? 0 : atLow,
    between: kept[model]?.subarray(0, Math.min(between, most)) ?? new Uint32Array(),
    tooMany: between > most,
  }));
}

/** Comparisons are added as 0 or 1: branches on them would be mispredicted half of the time. */
function collectPiece(
  patterns: Uint32Array,
  { low, high }: Bracket,
  own: Uint32Array,
  count: { above: number; atHigh: number; atLow: number; between: number },
): void {
  const last = own.length - 1;
  let { above, atHigh, atLow, between } = count;
  for (let i = 0; i < patterns.length; i++) {
    const magnitude = (patterns[i] ?? 0) & MAGNITUDE;
    above += +(magnitude > high) | 0;
    atHigh += +(magnitude === high) | 0;
    atLow += +(magnitude === low) | 0;
    own[Math.min(between, last)] = magnitude;
    between += +(magnitude > low) & +(magnitude < high);
  }
  Object.assign(count, { above, atHigh, atLow, between });
}

/** The border, if it lies in the bracket and was collected. */
function borderOf(
  { low, high }: Bracket,
  { above, atHigh, atLow, between, tooMany }: Collected,
  count: number,
): Border | undefined {
  const fromHigh = count - above;
  const fromBetween = fromHigh - atHigh;
  const fromLow = fromBetween - between.length;
  if (fromHigh <= 0) return undefined;
  if (fromBetween <= 0) return { pattern: high, equalOnes: fromHigh };
  if (tooMany) return undefined;
  if (fromLow <= 0) return borderWithin(between, fromBetween);
  return fromLow <= atLow ? { pattern: low, equalOnes: fromLow } : undefined;
}

/** The `left`-th largest of some patterns, and how many of those that equal it are among the `left`. */
function borderWithin(between: Uint32Array, left: number): Border {
  const sorted = between.sort();
  const pattern = sorted[sorted.length - left] ?? 0;
  let larger = 0;
  for (let i = sorted.length - 1; i >= 0 && (sorted[i] ?? 0) > pattern; i--) larger += 1;
  return { pattern, equalOnes: left - larger };
}

function countedBorders(tensor: TensorToMerge, countsM: readonly number[]): Border[] {
  const high = countsM.map(() => new Float64Array(HIGH_BINS));
  for (const { modelsMN } of tensor.stream())
    for (const [model, values] of modelsMN.entries()) countHigh(high[model] ?? new Float64Array(), patternsOf(values));
  const found = high.map((counts, model) => binFromAbove(counts, countsM[model] ?? 0));
  const low = countsM.map(() => new Float64Array(LOW_BINS));
  for (const { modelsMN } of tensor.stream())
    for (const [model, values] of modelsMN.entries())
      countLow(low[model] ?? new Float64Array(), patternsOf(values), found[model]?.bin ?? 0);
  return found.map(({ bin, left }, model) => {
    const within = binFromAbove(low[model] ?? new Float64Array(), left);
    return { pattern: (bin << LOW_BITS) | within.bin, equalOnes: within.left };
  });
}

function countHigh(counts: Float64Array, patterns: Uint32Array): void {
  for (let i = 0; i < patterns.length; i++) {
    const bin = ((patterns[i] ?? 0) & MAGNITUDE) >>> LOW_BITS;
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
}

function countLow(counts: Float64Array, patterns: Uint32Array, highBin: number): void {
  for (let i = 0; i < patterns.length; i++) {
    const magnitude = (patterns[i] ?? 0) & MAGNITUDE;
    if (magnitude >>> LOW_BITS !== highBin) continue;
    const bin = magnitude & (LOW_BINS - 1);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
}

/** The bin that the `count`-th largest element is in, and how many of that bin are among the `count`. */
function binFromAbove(counts: Float64Array, count: number): { bin: number; left: number } {
  let left = count;
  for (let bin = counts.length - 1; bin >= 0; bin--) {
    const inBin = counts[bin] ?? 0;
    if (left <= inBin) return { bin, left };
    left -= inBin;
  }
  return { bin: 0, left };
}

function patternsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}
