/**
 * The loops that merging spends its time in. Up to four models go through one loop, whose sums stay in registers; more take one in memory. All
 * sums are float64 and rounded once. M models, N elements.
 */

/** Models that one loop takes. */
const GROUP = 4;

export type WeightedSum = (modelsMN: readonly Float32Array[], mergedN: Float32Array) => void;

/** merged = sum over models of weight * values, which may overwrite one of the models. */
export function weightedSum(weightsM: readonly number[]): WeightedSum {
  if (weightsM.length <= GROUP) {
    return (modelsMN, mergedN) => {
      const [a, b, c, d] = four(modelsMN);
      const [wa = 0, wb = 0, wc = 0, wd = 0] = weightsM;
      if (modelsMN.length <= 2) sum2(mergedN, a, b, wa, wb);
      else sum4(mergedN, a, b, c, d, wa, wb, wc, wd);
    };
  }
  let sums = new Float64Array(0);
  return (modelsMN, mergedN) => {
    sums = sums.length < mergedN.length ? new Float64Array(mergedN.length) : sums.fill(0);
    addWeighted(sums, modelsMN, weightsM);
    for (let i = 0; i < mergedN.length; i++) mergedN[i] = sums[i] ?? 0;
  };
}

function sum2(merged: Float32Array, a: Float32Array, b: Float32Array, wa: number, wb: number): void {
  for (let i = 0; i < merged.length; i++) merged[i] = wa * (a[i] ?? 0) + wb * (b[i] ?? 0);
}

function sum4(
  merged: Float32Array,
  a: Float32Array,
  b: Float32Array,
  c: Float32Array,
  d: Float32Array,
  wa: number,
  wb: number,
  wc: number,
  wd: number,
): void {
  for (let i = 0; i < merged.length; i++)
    merged[i] = wa * (a[i] ?? 0) + wb * (b[i] ?? 0) + wc * (c[i] ?? 0) + wd * (d[i] ?? 0);
}

/** Adds weight * values over models to `sumN`. */
function addWeighted(sumN: Float64Array, modelsMN: readonly Float32Array[], weightsM: readonly number[]): void {
  for (const [model, values] of modelsMN.entries()) {
    const weight = weightsM[model] ?? 0;
    for (let i = 0; i < values.length; i++) sumN[i] = (sumN[i] ?? 0) + weight * (values[i] ?? 0);
  }
}

/** Of absent models: read beyond its end, which gives 0 by `?? 0`, would be slow, so it is as long as the others. */
let nothing = new Float32Array(0);

function four(modelsMN: readonly Float32Array[]): readonly [Float32Array, Float32Array, Float32Array, Float32Array] {
  const [a = nothing] = modelsMN;
  if (nothing.length < a.length) nothing = new Float32Array(a.length);
  return [a, modelsMN[1] ?? nothing, modelsMN[2] ?? nothing, modelsMN[3] ?? nothing];
}

/**
 * base += sum over models of weight * values, in place, of those products only that have the sign of the sum of all; 0 counts as positive.
 * Divided by the weights of those that count, where `normalize`, and times `lambda`.
 */
export type AgreedSum = (modelsMN: readonly Float32Array[], baseN: Float32Array) => void;

export interface AgreedOptions {
  /** What the values are multiplied with. */
  readonly weightsM: readonly number[];
  /** What counts for the divisor. */
  readonly sharesM: readonly number[];
  readonly normalize: boolean;
  readonly lambda: number;
}

export function agreedSum(options: AgreedOptions): AgreedSum {
  if (options.weightsM.length > GROUP) return (modelsMN, baseN) => agreedAny(baseN, modelsMN, options);
  return (modelsMN, baseN) => agreed4(baseN, four(modelsMN), options);
}

function agreed4(
  base: Float32Array,
  [a, b, c, d]: ReturnType<typeof four>,
  { weightsM, sharesM, normalize, lambda }: AgreedOptions,
): void {
  const [wa = 0, wb = 0, wc = 0, wd = 0] = weightsM;
  const [sa = 0, sb = 0, sc = 0, sd = 0] = sharesM;
  for (let i = 0; i < base.length; i++) {
    const va = wa * (a[i] ?? 0);
    const vb = wb * (b[i] ?? 0);
    const vc = wc * (c[i] ?? 0);
    const vd = wd * (d[i] ?? 0);
    // Comparisons are multiplied with as 0 or 1: the signs of task vectors are as good as random, and branches on them mispredicted.
    const sign = 2 * (+(va + vb + vc + vd >= 0) | 0) - 1;
    const ka = +(sign * va > 0) | 0;
    const kb = +(sign * vb > 0) | 0;
    const kc = +(sign * vc > 0) | 0;
    const kd = +(sign * vd > 0) | 0;
    const sum = ka * va + kb * vb + kc * vc + kd * vd;
    const share = normalize ? ka * sa + kb * sb + kc * sc + kd * sd : 1;
    base[i] = (base[i] ?? 0) + (lambda * sum) / (share === 0 ? 1 : share);
  }
}

function agreedAny(
  baseN: Float32Array,
  modelsMN: readonly Float32Array[],
  { weightsM, sharesM, normalize, lambda }: AgreedOptions,
): void {
  const totalN = new Float64Array(baseN.length);
  addWeighted(totalN, modelsMN, weightsM);
  const sumN = new Float64Array(baseN.length);
  const shareN = new Float64Array(baseN.length);
  for (const [model, values] of modelsMN.entries()) {
    const weight = weightsM[model] ?? 0;
    const own = sharesM[model] ?? 0;
    for (let i = 0; i < values.length; i++) {
      const value = weight * (values[i] ?? 0);
      if (((totalN[i] ?? 0) >= 0 ? value : -value) <= 0) continue;
      sumN[i] = (sumN[i] ?? 0) + value;
      shareN[i] = (shareN[i] ?? 0) + own;
    }
  }
  for (let i = 0; i < baseN.length; i++) {
    const share = shareN[i] ?? 0;
    baseN[i] = (baseN[i] ?? 0) + (lambda * (sumN[i] ?? 0)) / (normalize && share !== 0 ? share : 1);
  }
}
