/**
 * Matrices whose rows and columns have factors: sum over tasks of diag(a_t) tau_t diag(b_t). Rows are `stride` float32, a multiple of four, with
 * zeros behind their last column; factors and sums are float64.
 */

/**
 * merged = base + sum over tasks of a[t, r] b[t, c] taus[t, r, c]. `taus` are matrices of `rows` rows one behind another, `a` [tasks, rows], `b`
 * [tasks, stride].
 */
export function addFactored(
  base: usize,
  taus: usize,
  a: usize,
  b: usize,
  tasks: i32,
  rows: i32,
  stride: i32,
  merged: usize,
): void {
  const bytes = <usize>(4 * stride);
  const matrix = bytes * rows;
  for (let row: i32 = 0; row < rows; row++)
    for (let at: usize = 0; at < bytes; at += 16) {
      const place = row * bytes + at;
      const start = v128.load(base + place);
      let low = f64x2.promote_low_f32x4(start);
      let high = upper(start);
      for (let task: i32 = 0; task < tasks; task++) {
        const factor = v128.load_splat<f64>(a + 8 * (task * rows + row));
        const columns = b + 2 * (task * bytes + at);
        const tau = v128.load(taus + task * matrix + place);
        low = f64x2.add(low, f64x2.mul(f64x2.mul(factor, v128.load(columns)), f64x2.promote_low_f32x4(tau)));
        high = f64x2.add(high, f64x2.mul(f64x2.mul(factor, v128.load(columns, 16)), upper(tau)));
      }
      v128.store64_lane(merged + place, f32x4.demote_f64x2_zero(low), 0);
      v128.store64_lane(merged + place, f32x4.demote_f64x2_zero(high), 0, 8);
    }
}

/**
 * Of one task: rowSums[r] = sum over c of b[c] g[r, c] tau[r, c], and columnSums[c] += sum over r of a[r] g[r, c] tau[r, c]. Row sums are added in
 * four lanes.
 */
export function factorSlopes(
  gradient: usize,
  tau: usize,
  a: usize,
  b: usize,
  rows: i32,
  stride: i32,
  rowSums: usize,
  columnSums: usize,
): void {
  const bytes = <usize>(4 * stride);
  for (let row: i32 = 0; row < rows; row++, gradient += bytes, tau += bytes) {
    const factor = v128.load_splat<f64>(a + 8 * row);
    let low = f64x2.splat(0);
    let high = low;
    for (let at: usize = 0; at < bytes; at += 16) {
      const slopes = v128.load(gradient + at);
      const taus = v128.load(tau + at);
      const first = f64x2.mul(f64x2.promote_low_f32x4(slopes), f64x2.promote_low_f32x4(taus));
      const second = f64x2.mul(upper(slopes), upper(taus));
      low = f64x2.add(low, f64x2.mul(first, v128.load(b + 2 * at)));
      high = f64x2.add(high, f64x2.mul(second, v128.load(b + 2 * at, 16)));
      const sums = columnSums + 2 * at;
      v128.store(sums, f64x2.add(v128.load(sums), f64x2.mul(factor, first)));
      v128.store(sums, f64x2.add(v128.load(sums, 16), f64x2.mul(factor, second)), 16);
    }
    const sums = f64x2.add(low, high);
    store<f64>(rowSums + 8 * row, f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1));
  }
}

/** The upper two of four float32, as float64. */
function upper(values: v128): v128 {
  return f64x2.promote_low_f32x4(i64x2.shuffle(values, values, 1, 1));
}
