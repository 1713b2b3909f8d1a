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

/** sumOI += scale * b [O, R] a [R, I]. */
function addProduct(sumOI: Float64Array, bOR: Float32Array, aRI: Float32Array, rank: number, scale: number): void {
  const columns = aRI.length / rank;
  const rows = bOR.length / rank;
  for (let o = 0; o < rows; o++) {
    const row = sumOI.subarray(o * columns, (o + 1) * columns);
    for (let k = 0; k < rank; k++) {
      const b = (bOR[o * rank + k] ?? 0) * scale;
      if (b === 0) continue;
      const from = k * columns;
      for (let i = 0; i < columns; i++) row[i] = (row[i] ?? 0) + b * (aRI[from + i] ?? 0);
    }
  }
}
