/**
 * What an adapter's factors change of a weight, in float64, by rows: O rows, I columns (of a convolution all that one output sees), R ranks.
 * Hu et al. 2021 (arXiv 2106.09685), equation 3; linearised: Tang et al. 2023 (arXiv 2310.04742).
 */
import { readStoredFloat32, transposed } from "../stored-tensor.js";
import type { Factors } from "./adapter-tensors.js";

export interface LowRankChange {
  readonly rows: number;
  readonly columns: number;
  /**
   * Adds rows `from` to `to` of scaling * B A, or of the tangent at the initial factors, scaling * (B A0 + B0 A - B0 A0), to the same rows of
   * a weight, in place. The change is rounded to float32 first, as where PyTorch adds it.
   */
  addTo(weightOI: Float32Array, from: number, to: number, scaling: number): void;
}

/** Reads the factors: A [R, I...], B [O, R] (or [O, R, 1, 1]). With `isTransposed` rows and columns of the change are exchanged. */
export async function readLowRankChange(factors: Factors, isTransposed: boolean): Promise<LowRankChange> {
  // The transpose of B A is that of A times that of B.
  const { a, b, initial } = isTransposed ? exchanged(factors) : factors;
  const rank = a.shape[0] ?? 1;
  const [aRI, bOR] = [await readStoredFloat32(a), await readStoredFloat32(b)];
  const terms: (readonly [scale: number, bOR: Float32Array, aRI: Float32Array])[] = [];
  if (initial === undefined) terms.push([1, bOR, aRI]);
  else {
    const [a0RI, b0OR] = [await readStoredFloat32(initial.a), await readStoredFloat32(initial.b)];
    terms.push([1, bOR, a0RI], [1, b0OR, aRI], [-1, b0OR, a0RI]);
  }
  const columns = aRI.length / rank;
  return {
    rows: bOR.length / rank,
    columns,
    addTo: (weightOI, from, to, scaling) => {
      const sumOI = new Float64Array((to - from) * columns);
      for (const [scale, factorB, factorA] of terms)
        addProduct(sumOI, factorB.subarray(from * rank, to * rank), factorA, rank, scale);
      addScaled(weightOI, sumOI, scaling);
    },
  };
}

/** Adds scaling * B A of factors in memory to a whole weight, in place: to the bit as `addTo` does. */
export function addLowRankProduct(
  weightOI: Float32Array,
  { a, b, rank, scaling }: Readonly<{ a: Float32Array; b: Float32Array; rank: number; scaling: number }>,
): void {
  const sumOI = new Float64Array(weightOI.length);
  addProduct(sumOI, b, a, rank, 1);
  addScaled(weightOI, sumOI, scaling);
}

function addScaled(weightOI: Float32Array, sumOI: Float64Array, scaling: number): void {
  for (let i = 0; i < sumOI.length; i++) weightOI[i] = (weightOI[i] ?? 0) + Math.fround((sumOI[i] ?? 0) * scaling);
}

function exchanged({ a, b, initial }: Factors): Pick<Factors, "a" | "b" | "initial"> {
  return {
    a: transposed(b),
    b: transposed(a),
    initial: initial && { a: transposed(initial.b), b: transposed(initial.a) },
  };
}

/** Ranks that one pass over a row adds: their numbers stay in registers, where a pass for each rank would fetch and store the row every time. */
const RANKS_AT_ONCE = 8;

/** sumOI += scale * b [O, R] a [R, I], rank after rank, so that the sums do not depend on how many a pass takes. */
function addProduct(sumOI: Float64Array, bOR: Float32Array, aRI: Float32Array, rank: number, scale: number): void {
  const columns = aRI.length / rank;
  const rows = bOR.length / rank;
  const a = Float64Array.from(aRI);
  const scales = new Float64Array(rank);
  const starts = new Int32Array(rank);
  for (let o = 0; o < rows; o++) {
    const row = sumOI.subarray(o * columns, (o + 1) * columns);
    // Ranks without a share are left out: what they would be multiplied with need not be finite.
    let count = 0;
    for (let k = 0; k < rank; k++) {
      const b = (bOR[o * rank + k] ?? 0) * scale;
      if (b === 0) continue;
      scales[count] = b;
      starts[count++] = k * columns;
    }
    let done = 0;
    for (; done + RANKS_AT_ONCE <= count; done += RANKS_AT_ONCE) addEight(row, a, scales, starts, done);
    for (; done < count; done++) {
      const [b, from] = [scales[done] ?? 0, starts[done] ?? 0];
      for (let i = 0; i < columns; i++) row[i] = (row[i] ?? 0) + b * (a[from + i] ?? 0);
    }
  }
}

/** row += the sum of scales[k] times the row of `a` at starts[k], for eight k from `first`. */
function addEight(row: Float64Array, a: Float64Array, scales: Float64Array, starts: Int32Array, first: number): void {
  const [b0 = 0, b1 = 0, b2 = 0, b3 = 0, b4 = 0, b5 = 0, b6 = 0, b7 = 0] = scales.subarray(first);
  const [s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0] = starts.subarray(first);
  for (let i = 0; i < row.length; i++) {
    let sum = (row[i] ?? 0) + b0 * (a[s0 + i] ?? 0);
    sum += b1 * (a[s1 + i] ?? 0);
    sum += b2 * (a[s2 + i] ?? 0);
    sum += b3 * (a[s3 + i] ?? 0);
    sum += b4 * (a[s4 + i] ?? 0);
    sum += b5 * (a[s5 + i] ?? 0);
    sum += b6 * (a[s6 + i] ?? 0);
    row[i] = sum + b7 * (a[s7 + i] ?? 0);
  }
}
