/** Spearman's rank correlation: how well one quantity is a monotone function of another. */

/** From -1 to 1; undefined for fewer than three pairs or when one of the two does not vary. Ties get their mean rank. */
export function rankCorrelation(pairs: readonly (readonly [number, number])[]): number | undefined {
  if (pairs.length < 3) return undefined;
  const a = ranks(pairs.map(([left]) => left));
  const b = ranks(pairs.map(([, right]) => right));
  const mean = (pairs.length - 1) / 2;
  let [product, squaresA, squaresB] = [0, 0, 0];
  for (const [index, left] of a.entries()) {
    const [x, y] = [left - mean, (b[index] ?? 0) - mean];
    product += x * y;
    squaresA += x * x;
    squaresB += y * y;
  }
  return squaresA === 0 || squaresB === 0 ? undefined : product / Math.sqrt(squaresA * squaresB);
}

/** Ranks from 0. */
function ranks(values: readonly number[]): number[] {
  const sorted = [...values].sort((a, b) => a - b);
  return values.map((value) => (sorted.indexOf(value) + sorted.lastIndexOf(value)) / 2);
}
