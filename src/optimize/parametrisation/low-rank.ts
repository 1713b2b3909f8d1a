/**
 * A change of low rank beside a coefficient per task vector: W = W0 + sum_t lambda_t tau_t + A B, with dL/dlambda_t = <G, tau_t>, dL/dA = G B^T and
 * dL/dB = A^T G. A [R, I] starts at 0, B [I, C] at rows of the cosine transform, which are orthonormal and need no seed; the constant row
 * comes last, since what a LayerNorm has centred is nearly blind to it. A vector has its coefficients alone. Leaves the span of the task vectors,
 * with far fewer parameters than all weights.
 * Source: LoRA (Hu et al. 2022), as a residual of the merged weights. K tasks, R rows, C columns, I the rank, S = R C elements.
 */
import { productsWith, transposed } from "../../merge/kernels/products.js";
import { type Floats, isMatrix, matrixSize, type Parametrisation, type TensorForm } from "./parametrisation.js";
import { scalar } from "./scalar.js";

/** Of `rank`, or of the smaller side of a smaller matrix. */
export function lowRank(rank: number): Parametrisation {
  return {
    size: (of) => scalar.size(of) + (isMatrix(of.shape) ? residualSize(of.shape, rank).size : 0),
    form: (parts) => (isMatrix(parts.shape) ? matrixForm(parts.shape, rank) : scalar.form(parts)),
  };
}

/** Rows, columns, the rank that a matrix can have, and the elements of A and B. */
function residualSize(shape: readonly number[], rank: number) {
  const { rows, columns } = matrixSize(shape);
  const inner = Math.min(rank, rows, columns);
  return { rows, columns, inner, size: inner * (rows + columns) };
}

/** The parameters are lambda [K], A and B. */
function matrixForm(shape: readonly number[], rank: number): TensorForm {
  const { rows: R, columns: C, inner: I, size } = residualSize(shape, rank);
  function partsOf(values: Float64Array): Record<"lambdaK" | "aRI" | "bIC", Float64Array>;
  function partsOf(values: Floats): Record<"lambdaK" | "aRI" | "bIC", Floats>;
  function partsOf(values: Floats): Record<"lambdaK" | "aRI" | "bIC", Floats> {
    const tasks = values.length - size;
    const [firstA, firstB] = [tasks, tasks + R * I];
    return {
      lambdaK: values.subarray(0, firstA),
      aRI: values.subarray(firstA, firstB),
      bIC: values.subarray(firstB),
    };
  }
  const { form: coefficients } = scalar;
  return {
    readsTaskVectors: true,
    start: (_parts, initial, parameters) => {
      const { lambdaK, aRI, bIC } = partsOf(parameters);
      lambdaK.fill(initial);
      aRI.fill(0);
      for (let i = 0; i < I; i++)
        for (let column = 0; column < C; column++) bIC[i * C + column] = cosine((i + 1) % C, column, C);
    },
    merge: (parts, parameters, mergedS) => {
      const { lambdaK, aRI, bIC } = partsOf(parameters);
      coefficients(parts).merge(parts, lambdaK, mergedS);
      const sums = Float64Array.from(mergedS);
      productsWith(bIC, R, C, "float32")(aRI, sums);
      mergedS.set(sums);
    },
    gradient: (parts, parameters, gradientS, into) => {
      const { lambdaK, aRI, bIC } = partsOf(parameters);
      const slopes = partsOf(into);
      into.fill(0);
      coefficients(parts).gradient(parts, lambdaK, gradientS, slopes.lambdaK);
      productsWith(transposed(Float64Array.from(bIC), C), R, I, "float32")(gradientS, slopes.aRI);
      productsWith(gradientS, I, C, "float32")(transposed(Float64Array.from(aRI), I), slopes.bIC);
    },
  };
}

/** Element of the orthonormal cosine transform (DCT-II) of `size`: row `i` of it, `at` in the row. */
function cosine(i: number, at: number, size: number): number {
  return Math.sqrt((i === 0 ? 1 : 2) / size) * Math.cos((Math.PI * i * (2 * at + 1)) / (2 * size));
}
