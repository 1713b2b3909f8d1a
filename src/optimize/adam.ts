/**
 * Adam in float64 on plain arrays, equal to torch.optim.Adam. Ours, because tfjs's is not exact across a save and
 * load and differs by 2e-6 after 500 steps. State is plain arrays, so that a checkpoint is a copy.
 * Source: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1; torch's order of operations.
 */

export interface AdamOptions {
  readonly beta1: number;
  readonly beta2: number;
  /** Added outside the square root. */
  readonly epsilon: number;
  /** L2 penalty, added to the gradient (not decoupled), as torch.optim.Adam does. */
  readonly weightDecay: number;
}

export interface AdamState {
  /** Updates made so far. */
  readonly updates: number;
  readonly mean: Float64Array;
  readonly meanSquare: Float64Array;
}

/** A fresh state for `size` parameters. */
export function initAdam(size: number): AdamState {
  return { updates: 0, mean: new Float64Array(size), meanSquare: new Float64Array(size) };
}

/** One update: the new parameters and state. Nothing is changed in place. */
export function stepAdam(
  state: AdamState,
  parameters: Float64Array,
  gradient: Float64Array,
  learningRate: number,
  options: AdamOptions,
): { parameters: Float64Array; state: AdamState } {
  const { beta1, beta2, epsilon, weightDecay } = options;
  const updates = state.updates + 1;
  const stepSize = learningRate / (1 - beta1 ** updates);
  const meanSquareScale = Math.sqrt(1 - beta2 ** updates);
  const next = Float64Array.from(parameters);
  const mean = Float64Array.from(state.mean);
  const meanSquare = Float64Array.from(state.meanSquare);
  for (let index = 0; index < next.length; index++) {
    const value = next[index] ?? 0;
    const slope = (gradient[index] ?? 0) + weightDecay * value;
    const m = beta1 * (mean[index] ?? 0) + (1 - beta1) * slope;
    const v = beta2 * (meanSquare[index] ?? 0) + (1 - beta2) * slope * slope;
    mean[index] = m;
    meanSquare[index] = v;
    next[index] = value - (stepSize * m) / (Math.sqrt(v) / meanSquareScale + epsilon);
  }
  return { parameters: next, state: { updates, mean, meanSquare } };
}
