/**
 * AdamW on the tensors of a network, in place and in float32, as torch.optim.AdamW makes it: optimize/adam.ts is for
 * coefficients, in float64 and with copies. The loop is WebAssembly with SIMD (kernels/updates.ts) on pieces that stay
 * in the processor's cache, so that the update of ten million parameters takes a small part of a step. Source:
 * Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2.
 */
import { bytesInMemory, clearBehind } from "../../merge/kernels/kernel-memory.js";
import { loadKernels } from "../../merge/kernels/kernels.js";
import type { AdamWOptions } from "./options.js";
import type { Parameter } from "./parameters.js";

/** Elements of a piece: four arrays of as many take 128 KiB, less than the second cache of a core. */
const PIECE = 8192;

/** Added to the norm that the limit is divided by: clipped as by torch.nn.utils.clip_grad_norm_. */
const NORM_EPSILON = 1e-6;

export interface AdamW {
  /** L2 norm of the whole gradient, its squares summed in float64. */
  gradientNorm(parameters: readonly Parameter[]): number;
  /** One update, the first with `updates` 1. The gradient is multiplied with `gradientFactor`. */
  update(
    parameters: readonly Parameter[],
    step: { learningRate: number; gradientFactor: number; updates: number },
  ): void;
}

export function createAdamW({ beta1, beta2, epsilon, weightDecay, decays, rateFactor }: AdamWOptions): AdamW {
  const kernels = loadKernels(4 * bytesInMemory(PIECE * Float32Array.BYTES_PER_ELEMENT));
  const { floats } = kernels.memory;
  const own = { values: floats(PIECE), gradient: floats(PIECE), mean: floats(PIECE), meanSquare: floats(PIECE) };
  return {
    gradientNorm: (parameters) => {
      let sum = 0;
      for (const { gradient } of parameters)
        for (let from = 0; from < gradient.length; from += PIECE) {
          const piece = gradient.subarray(from, from + PIECE);
          own.gradient.set(piece);
          clearBehind(own.gradient, piece.length);
          sum += kernels.squareSum(own.gradient.subarray(0, piece.length));
        }
      return Math.sqrt(sum);
    },
    update: (parameters, { learningRate, gradientFactor, updates }) => {
      for (const parameter of parameters) {
        const numbers = {
          ...{ beta1, beta2, epsilon, gradientFactor, updates },
          learningRate: learningRate * rateFactor(parameter),
          weightDecay: decays(parameter) ? weightDecay : 0,
        };
        const { values, gradient, mean, meanSquare } = parameter;
        for (let from = 0; from < values.length; from += PIECE) {
          const to = Math.min(from + PIECE, values.length);
          own.values.set(values.subarray(from, to));
          own.gradient.set(gradient.subarray(from, to));
          own.mean.set(mean.subarray(from, to));
          own.meanSquare.set(meanSquare.subarray(from, to));
          kernels.adamW(
            {
              parametersN: own.values.subarray(0, to - from),
              gradientN: own.gradient,
              meanN: own.mean,
              meanSquareN: own.meanSquare,
            },
            numbers,
          );
          values.set(own.values.subarray(0, to - from), from);
          mean.set(own.mean.subarray(0, to - from), from);
          meanSquare.set(own.meanSquare.subarray(0, to - from), from);
        }
      }
    },
  };
}

/** What a gradient of this norm is multiplied with so that its norm is at most `limit`, as torch's clipping does. */
export function clipFactor(norm: number, limit: number): number {
  return limit === Number.POSITIVE_INFINITY ? 1 : Math.min(1, limit / (norm + NORM_EPSILON));
}
