/**
 * Sums over models and over elements. All are float64 and rounded once. `models` points to the addresses of M arrays of float32, `weights` to
 * M float64 numbers. M models.
 */

/** values -= base */
export function subtract(values: usize, base: usize, count: i32): void {
  const end = values + 4 * count;
  for (; values < end; values += 16, base += 16) v128.store(values, f32x4.sub(v128.load(values), v128.load(base)));
}

/** merged = sum over models of weight * values; `merged` may be one of the models. */
export function weightedSum(models: usize, weights: usize, modelCount: i32, merged: usize, count: i32): void {
  for (let at: usize = 0; at < <usize>(4 * count); at += 16) {
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    for (let model: i32 = 0; model < modelCount; model++) {
      const values = load<usize>(models + 4 * model) + at;
      const weight = v128.load_splat<f64>(weights + 8 * model);
      low = f64x2.add(low, f64x2.mul(weight, two(values)));
      high = f64x2.add(high, f64x2.mul(weight, two(values + 8)));
    }
    storeTwo(merged + at, low);
    storeTwo(merged + at + 8, high);
  }
}

/**
 * base += lambda * sum over models of weight * values, of those products only that have the sign of the sum of all; 0 counts as positive.
 * Divided by the shares of the models that count, where `normalize`.
 */
export function agreedSum(
  models: usize,
  weights: usize,
  shares: usize,
  modelCount: i32,
  base: usize,
  lambda: f64,
  normalize: bool,
  count: i32,
): void {
  const one = f64x2.splat(1);
  const none = f64x2.splat(0);
  for (let at: usize = 0; at < <usize>(4 * count); at += 8) {
    let total = none;
    for (let model: i32 = 0; model < modelCount; model++) total = f64x2.add(total, product(models, weights, model, at));
    const flipped = v128.andnot(f64x2.splat(-0.0), f64x2.ge(total, none));
    let sum = none;
    let share = none;
    for (let model: i32 = 0; model < modelCount; model++) {
      const value = product(models, weights, model, at);
      const agrees = f64x2.gt(v128.xor(value, flipped), none);
      sum = f64x2.add(sum, v128.and(value, agrees));
      share = f64x2.add(share, v128.and(v128.load_splat<f64>(shares + 8 * model), agrees));
    }
    const divisor = normalize ? v128.bitselect(one, share, f64x2.eq(share, none)) : one;
    const added = f64x2.div(f64x2.mul(f64x2.splat(lambda), sum), divisor);
    storeTwo(base + at, f64x2.add(two(base + at), added));
  }
}

/** Sum of magnitudes. */
export function absoluteSum(values: usize, count: i32): f64 {
  let sums = f64x2.splat(0);
  for (const end = values + 4 * count; values < end; values += 8) sums = f64x2.add(sums, f64x2.abs(two(values)));
  return f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
}

/** Sum of products. */
export function dotProduct(a: usize, b: usize, count: i32): f64 {
  let sums = f64x2.splat(0);
  for (const end = a + 4 * count; a < end; a += 8, b += 8) sums = f64x2.add(sums, f64x2.mul(two(a), two(b)));
  return f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
}

function product(models: usize, weights: usize, model: i32, at: usize): v128 {
  return f64x2.mul(v128.load_splat<f64>(weights + 8 * model), two(load<usize>(models + 4 * model) + at));
}

/** Two float32 as float64. */
function two(values: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load_zero<u64>(values));
}

function storeTwo(values: usize, numbers: v128): void {
  v128.store64_lane(values, f32x4.demote_f64x2_zero(numbers), 0);
}
