/**
 * A weighted sum of low-rank changes as one pair of factors, sum_k w_k B_k A_k = [w_1 B_1 ... w_K B_K] [A_1; ...; A_K]:
 * exact, of the sum of their ranks. And the best approximation of such a product by a lower rank, from matrices of R
 * rows and columns alone, so that the product is never laid out: with A = V diag(s) W^T, B A = (B V diag(s)) W^T, whose
 * singular vectors are those of the matrix in brackets, turned by W. O rows, I columns, R the sum of the ranks.
 *
 * All in float64, by Gram matrices: singular values below 1e-8 of the largest are lost in their rounding.
 */
import { gramOf, productsWith, transposed } from "./kernels/products.js";
import type { LowRankFactors } from "./low-rank-approximation.js";
import { gramDirections, imagesOf } from "./singular-triples.js";

/** One summand, `weight` B A. */
export interface WeightedFactors {
  readonly weight: number;
  readonly rank: number;
  /** [O, rank] */
  readonly b: Float32Array | Float64Array;
  /** [rank, I] */
  readonly a: Float32Array | Float64Array;
}

export interface StackedFactors {
  readonly rank: number;
  /** [O, R] */
  readonly b: Float64Array;
  /** [R, I] */
  readonly a: Float64Array;
}

/** The sum of the summands, which change the same matrix; their weights go to B. */
export function stackedFactors(summands: readonly WeightedFactors[], rows: number, columns: number): StackedFactors {
  const rank = summands.reduce((sum, own) => sum + own.rank, 0);
  const [b, a] = [new Float64Array(rows * rank), new Float64Array(rank * columns)];
  let first = 0;
  for (const { weight, rank: own, b: bOK, a: aKI } of summands) {
    a.set(aKI, first * columns);
    for (let row = 0; row < rows; row++)
      for (let k = 0; k < own; k++) b[row * rank + first + k] = weight * (bOK[row * own + k] ?? 0);
    first += own;
  }
  return { rank, b, a };
}

/**
 * The best B A of rank `rank`, each singular value in equal parts on both sides, as low-rank-approximation.ts has it.
 * Directions in which the sum has nothing are zeros in both.
 */
export function truncatedStack({ a, b, rank: inner }: StackedFactors, rank: number): LowRankFactors {
  const [rows, columns] = [b.length / inner, a.length / inner];
  const found = { b: new Float32Array(rows * rank), a: new Float32Array(rank * columns) };
  const aIR = transposed(a, columns);
  const ofA = gramDirections(aIR, inner);
  const spanned = positives(ofA.squares);
  if (spanned === 0) return found;
  const vectorsKR = ofA.leadingVectors(spanned);
  // W diag(s) [I, K] and s [K].
  const { imagesRK: imagesIK, values: lengthsK } = imagesOf(aIR, inner, vectorsKR);
  const coreOK = imagesOf(b, inner, vectorsKR).imagesRK.map((value, index) => value * (lengthsK[index % spanned] ?? 0));
  const ofCore = gramDirections(coreOK, spanned);
  const own = Math.min(rank, positives(ofCore.squares));
  if (own === 0) return found;
  const directionsNK = ofCore.leadingVectors(own);
  const { imagesRK: imagesON, values: valuesN } = imagesOf(coreOK, spanned, directionsNK);
  const rightNI = new Float64Array(own * columns);
  const wKI = transposed(
    imagesIK.map((value, index) => value / (lengthsK[index % spanned] ?? 1)),
    spanned,
  );
  productsWith(wKI, own, columns, "float64")(directionsNK, rightNI);
  for (let n = 0; n < own; n++) {
    const root = Math.sqrt(valuesN[n] ?? 0);
    for (let o = 0; o < rows; o++) found.b[o * rank + n] = (imagesON[o * own + n] ?? 0) / root;
    for (let i = 0; i < columns; i++) found.a[n * columns + i] = (rightNI[n * columns + i] ?? 0) * root;
  }
  return found;
}

function positives(values: Float64Array): number {
  return values.filter((value) => value > 0).length;
}

/**
 * Frobenius norms of a product and of its difference from another of the same matrix, from their factors' Gram matrices:
 * |B A|^2 = sum of (B^T B) o (A A^T). A difference below 1e-8 of the norm is rounding.
 */
export function stackError(
  stack: StackedFactors,
  found: LowRankFactors & { readonly rank: number },
): { readonly difference: number; readonly norm: number } {
  const [rows, columns] = [stack.b.length / stack.rank, stack.a.length / stack.rank];
  const apart = stackedFactors(
    [
      { weight: 1, ...stack },
      { weight: -1, ...found },
    ],
    rows,
    columns,
  );
  return { difference: productNorm(apart), norm: productNorm(stack) };
}

function productNorm({ a, b, rank }: StackedFactors): number {
  const columns = a.length / rank;
  const gramOfB = gramOf(b, rank);
  const gramOfA = gramOf(transposed(a, columns), rank);
  // Rounding may leave less than nothing of a difference.
  return Math.sqrt(
    Math.max(
      0,
      gramOfB.reduce((sum, value, index) => sum + value * (gramOfA[index] ?? 0), 0),
    ),
  );
}
