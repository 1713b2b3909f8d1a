/**
 * Factors of rows and, where asked for, of columns: W = W0 + sum_t diag(a_t) tau_t diag(b_t), a_t [R] from the initial coefficient, b_t [C]
 * from 1. dL/da_t = rowsum(G o tau_t diag(b_t)), dL/db_t = colsum(diag(a_t) G o tau_t). A vector has one coefficient per task.
 * Source: none; a layer-wise coefficient (AdaMerging) taken apart by the axes of its matrix. K tasks, R rows, C columns.
 */
import { factorLoops } from "./factor-loops.js";
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
    merge: (parts, parameters, mergedS) =>
      factorLoops(C, parameters.length / perTask).merge(
        { parameters, rows: R, hasColumns },
        parts.baseS,
        parts.tauKS,
        mergedS,
      ),
    gradient: (parts, parameters, gradientS, into) =>
      factorLoops(C, parameters.length / perTask).gradient(
        { parameters, rows: R, hasColumns },
        gradientS,
        parts.tauKS,
        into,
      ),
  };
}
