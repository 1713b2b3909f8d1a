/**
 * A coefficient per tensor and task, W = W0 + sum_t lambda_t tau_t, with dL/dlambda_t = <G, tau_t>. What the compiled step of scalar coefficients
 * computes inside its graph, written outside: the measure of the others, and a first stage before them.
 * Source: AdaMerging (Yang et al. 2024), layer-wise, without a clamp. K tasks, S elements.
 */
import { allInitial, type Floats, type Parametrisation, type TensorParts } from "./parametrisation.js";

export const scalar: Parametrisation = {
  size: ({ tasks }) => tasks,
  form: () => ({
    readsTaskVectors: true,
    start: allInitial,
    merge: mergeTaskVectors,
    gradient: (parts, _parameters, gradientS, into) => taskVectorSlopes(parts, gradientS, into),
  }),
};

/** W0 + sum_t lambda_t tau_t, [S]. */
export function mergeTaskVectors({ baseS, tauKS }: TensorParts, lambdaK: ArrayLike<number>, mergedS: Floats): void {
  const size = baseS.length;
  for (let s = 0; s < size; s++) {
    let sum = baseS[s] ?? 0;
    for (let task = 0; task < lambdaK.length; task++) sum += (lambdaK[task] ?? 0) * (tauKS[task * size + s] ?? 0);
    mergedS[s] = sum;
  }
}

/** <G, tau_t>, [K]. */
export function taskVectorSlopes({ baseS, tauKS }: TensorParts, gradientS: Float32Array, slopesK: Float64Array): void {
  const size = baseS.length;
  for (let task = 0; task < slopesK.length; task++) {
    let sum = 0;
    for (let s = 0; s < size; s++) sum += (gradientS[s] ?? 0) * (tauKS[task * size + s] ?? 0);
    slopesK[task] = sum;
  }
}
