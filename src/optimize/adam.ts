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

/** Adam's moments of all parameters, and its number of steps. */
export interface AdamState<Floats extends Float64Array | Float32Array = Float64Array | Float32Array> {
  /** Updates made so far. */
  readonly updates: number;
  readonly mean: Floats;
  readonly meanSquare: Floats;
}

/** A fresh state for `size` parameters. */
export function initAdam(size: number): AdamState<Float64Array> {
  return { updates: 0, mean: new Float64Array(size), meanSquare: new Float64Array(size) };
}

/** One update: the new parameters and state. Nothing is changed in place. */
export function stepAdam(
  state: AdamState<Float64Array>,
  parameters: Float64Array,
  gradient: ArrayLike<number>,
  learningRate: number,
  options: AdamOptions,
): { parameters: Float64Array; state: AdamState<Float64Array> } {
  const next = { updates: state.updates, mean: state.mean.slice(), meanSquare: state.meanSquare.slice() };
  const moved = parameters.slice();
  updateAdam(next, moved, gradient, learningRate, options);
  return { parameters: moved, state: next };
}

/**
 * The same update on the caller's own arrays, which float32 rounds: for whole networks, where fresh copies at every step would cost more than
 * the update itself. Changes `state` and `parameters`.
 */
export function updateAdam(
  state: { updates: number; readonly mean: AdamState["mean"]; readonly meanSquare: AdamState["meanSquare"] },
  parameters: Float64Array | Float32Array,
  gradient: ArrayLike<number>,
  learningRate: number,
  { beta1, beta2, epsilon, weightDecay }: AdamOptions,
): void {
  state.updates += 1;
  const { mean, meanSquare } = state;
  const stepSize = learningRate / (1 - beta1 ** state.updates);
  const meanSquareScale = Math.sqrt(1 - beta2 ** state.updates);
  for (let index = 0; index < parameters.length; index++) {
    const value = parameters[index] ?? 0;
    const slope = (gradient[index] ?? 0) + weightDecay * value;
    const m = beta1 * (mean[index] ?? 0) + (1 - beta1) * slope;
    const v = beta2 * (meanSquare[index] ?? 0) + (1 - beta2) * slope * slope;
    mean[index] = m;
    meanSquare[index] = v;
    parameters[index] = value - (stepSize * m) / (Math.sqrt(v) / meanSquareScale + epsilon);
  }
}
