/**
 * Factors of rows and, where asked for, of columns: W = W0 + sum_t diag(a_t) tau_t diag(b_t), a_t [R] from the initial coefficient, b_t [C]
 * from 1. dL/da_t = rowsum(G o tau_t diag(b_t)), dL/db_t = colsum(diag(a_t) G o tau_t). A vector has one coefficient per task.
 * Source: none; a layer-wise coefficient (AdaMerging) taken apart by the axes of its matrix. K tasks, R rows, C columns.
 */
import { isMatrix, matrixSize, type Parametrisation, type TensorForm } from "./parametrisation.js";
import { scalar } from "./scalar.js";

/** A coefficient per output row. */
export const rows: Parametrisation = {
  size: ({ shape, tasks }) => (isMatrix(shape) ? tasks * matrixSize(shape).rows : scalar.size({ shape, tasks })),
  form: (parts) => (isMatrix(parts.shape) ? matrixForm(parts.shape, false) : scalar.form(parts)),
};

/** A coefficient per output row and a factor per input column. */
export const rowsColumns: Parametrisation = {
  size: ({ shape, tasks }) => {
    if (!isMatrix(shape)) return scalar.size({ shape, tasks });
    const size = matrixSize(shape);
    return tasks * (size.rows + size.columns);
  },
  form: (parts) => (isMatrix(parts.shape) ? matrixForm(parts.shape, true) : scalar.form(parts)),
};

/** The parameters of a task are a_t and, with `hasColumns`, b_t after it. */
function matrixForm(shape: readonly number[], hasColumns: boolean): TensorForm {
  const { rows: R, columns: C } = matrixSize(shape);
  const perTask = hasColumns ? R + C : R;
  return {
    readsTaskVectors: true,
    start: (_parts, initial, parameters) => {
      for (let at = 0; at < parameters.length; at++) parameters[at] = at % perTask < R ? initial : 1;
    },
    merge: ({ baseS, tauKS }, parameters, mergedS) => {
      const size = R * C;
      const sums = new Float64Array(C);
      for (let row = 0; row < R; row++) {
        for (let column = 0; column < C; column++) sums[column] = baseS[row * C + column] ?? 0;
        for (let first = 0, from = row * C; first < parameters.length; first += perTask, from += size) {
          const a = parameters[first + row] ?? 0;
          for (let column = 0; column < C; column++) {
            const b = hasColumns ? (parameters[first + R + column] ?? 0) : 1;
            sums[column] = (sums[column] ?? 0) + a * b * (tauKS[from + column] ?? 0);
          }
        }
        mergedS.set(sums, row * C);
      }
    },
    gradient: ({ tauKS }, parameters, gradientS, into) => {
      const size = R * C;
      into.fill(0);
      for (let first = 0, ofTask = 0; first < parameters.length; first += perTask, ofTask += size)
        for (let row = 0; row < R; row++) {
          const a = parameters[first + row] ?? 0;
          let sum = 0;
          for (let column = 0; column < C; column++) {
            const product = (gradientS[row * C + column] ?? 0) * (tauKS[ofTask + row * C + column] ?? 0);
            if (!hasColumns) sum += product;
            else {
              const at = first + R + column;
              sum += product * (parameters[at] ?? 0);
              into[at] = (into[at] ?? 0) + a * product;
            }
          }
          into[first + row] = sum;
        }
    },
  };
}
