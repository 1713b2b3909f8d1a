/** Products of an adapter's factors, in float64: O rows, I columns (of a convolution all that one output sees), R ranks. */

/** sumOI += scale * b [O, R] a [R, I]. */
export function addProduct(
  sumOI: Float64Array,
  bOR: Float32Array,
  aRI: Float32Array,
  rank: number,
  scale: number,
): void {
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
