/** Updates of optimisers. */

/** Sum of squares, in four sums of float64 side by side: one alone waits for each addition. */
export function squareSum(values: usize, count: i32): f64 {
  let first = f64x2.splat(0);
  let second = first;
  let third = first;
  let fourth = first;
  const end = values + 4 * count;
  for (const last = values + 4 * (count & ~7); values < last; values += 32) {
    const one = v128.load(values);
    const other = v128.load(values, 16);
    first = f64x2.add(first, squares(one));
    second = f64x2.add(second, squares(i64x2.shuffle(one, one, 1, 1)));
    third = f64x2.add(third, squares(other));
    fourth = f64x2.add(fourth, squares(i64x2.shuffle(other, other, 1, 1)));
  }
  for (; values < end; values += 8) first = f64x2.add(first, squares(v128.load_zero<u64>(values)));
  const sums = f64x2.add(f64x2.add(first, second), f64x2.add(third, fourth));
  return f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
}

/** Of the lower two of four float32, as float64. */
function squares(values: v128): v128 {
  const two = f64x2.promote_low_f32x4(values);
  return f64x2.mul(two, two);
}

/**
 * One update of AdamW in place, all in float32 and in the order of torch.optim.AdamW (single tensor): the gradient
 * times `clip`, decay, moments, step. `rootScale` is the root of the second moment's bias correction, `stepSize` the
 * learning rate over the first one's.
 */
export function adamW(
  parameters: usize,
  gradient: usize,
  mean: usize,
  meanSquare: usize,
  count: i32,
  clip: f32,
  kept: f32,
  meanWeight: f32,
  beta2: f32,
  squareWeight: f32,
  rootScale: f32,
  epsilon: f32,
  stepSize: f32,
): void {
  const clips = f32x4.splat(clip);
  const keeps = f32x4.splat(kept);
  const meanWeights = f32x4.splat(meanWeight);
  const betas = f32x4.splat(beta2);
  const squareWeights = f32x4.splat(squareWeight);
  const rootScales = f32x4.splat(rootScale);
  const epsilons = f32x4.splat(epsilon);
  const stepSizes = f32x4.splat(stepSize);
  for (let at: usize = 0, end = <usize>4 * count; at < end; at += 16) {
    const slopes = f32x4.mul(v128.load(gradient + at), clips);
    const before = v128.load(mean + at);
    const means = f32x4.add(before, f32x4.mul(meanWeights, f32x4.sub(slopes, before)));
    v128.store(mean + at, means);
    const squares = f32x4.add(
      f32x4.mul(v128.load(meanSquare + at), betas),
      f32x4.mul(f32x4.mul(squareWeights, slopes), slopes),
    );
    v128.store(meanSquare + at, squares);
    const divisors = f32x4.add(f32x4.div(f32x4.sqrt(squares), rootScales), epsilons);
    const kepts = f32x4.mul(v128.load(parameters + at), keeps);
    v128.store(parameters + at, f32x4.sub(kepts, f32x4.div(f32x4.mul(stepSizes, means), divisors)));
  }
}
