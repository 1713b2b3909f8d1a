/**
 * What row and column factors spend their time in, as WebAssembly with SIMD (kernels/factors.ts) on a few rows at a time, which stay in the
 * processor's cache. K tasks, R rows, C columns.
 */
import { bytesInMemory } from "../../merge/kernels/kernel-memory.js";
import { loadKernels } from "../../merge/kernels/kernels.js";
import type { Floats } from "./parametrisation.js";

/** Elements of a piece of rows, of which there are K and two more. */
const PIECE = 4096;
/** Elements of a vector. */
const LANES = 4;

/** Factors of one tensor: `a` of row r of task t at [t * perTask + r], `b` of column c behind those of the rows; without columns b is 1. */
export interface Factors {
  readonly parameters: Floats;
  readonly rows: number;
  readonly hasColumns: boolean;
}

export interface FactorLoops {
  /** merged [R, C] = base + sum_t diag(a_t) tau_t diag(b_t), in float64 and rounded once. */
  merge(factors: Factors, baseS: Float32Array, tauKS: Float32Array, mergedS: Float32Array): void;
  /** Writes the slopes of all factors, as they lie in `parameters`, from G [R, C]. */
  gradient(factors: Factors, gradientS: Float32Array, tauKS: Float32Array, into: Float64Array): void;
}

const known = new Map<string, FactorLoops>();

/** Loops with memory of their own, one for all tensors of as many columns and tasks. */
export function factorLoops(columns: number, tasks: number): FactorLoops {
  const key = `${columns} ${tasks}`;
  const loops = known.get(key) ?? createLoops(columns, tasks);
  known.set(key, loops);
  return loops;
}

function createLoops(C: number, K: number): FactorLoops {
  const stride = Math.ceil(C / LANES) * LANES;
  const most = Math.max(1, Math.floor(PIECE / stride));
  const bytes =
    bytesInMemory(4 * most * stride) * (K + 2) + bytesInMemory(8 * K * most) + 2 * bytesInMemory(8 * K * stride);
  const kernels = loadKernels(bytes + bytesInMemory(8 * most));
  const { floats, doubles } = kernels.memory;
  const own = { first: floats(most * stride), taus: floats(K * most * stride), last: floats(most * stride) };
  const [a, b, columnSums, rowSums] = [doubles(K * most), doubles(K * stride), doubles(K * stride), doubles(most)];
  /** Rows from one matrix into rows of the kernels. */
  const give = (valuesS: Float32Array, from: number, rows: number, to: Float32Array): void => {
    if (stride === C) to.set(valuesS.subarray(from, from + rows * C));
    else
      for (let row = 0; row < rows; row++) to.set(valuesS.subarray(from + row * C, from + (row + 1) * C), row * stride);
  };
  const take = (values: Float32Array, rows: number, toS: Float32Array, at: number): void => {
    if (stride === C) toS.set(values.subarray(0, rows * C), at);
    else for (let row = 0; row < rows; row++) toS.set(values.subarray(row * stride, row * stride + C), at + row * C);
  };
  const perTaskOf = ({ rows, hasColumns }: Factors): number => (hasColumns ? rows + C : rows);
  const giveColumns = (factors: Factors): void => {
    const { parameters, rows, hasColumns } = factors;
    const perTask = perTaskOf(factors);
    for (let task = 0; task < K; task++) {
      const ofTask = b.subarray(task * stride, task * stride + C);
      if (hasColumns) ofTask.set(parameters.subarray(task * perTask + rows, (task + 1) * perTask));
      else ofTask.fill(1);
    }
  };
  return {
    merge: (factors, baseS, tauKS, mergedS) => {
      const { parameters, rows } = factors;
      const perTask = perTaskOf(factors);
      giveColumns(factors);
      for (let row = 0; row < rows; row += most) {
        const count = Math.min(most, rows - row);
        const piece = count * stride;
        give(baseS, row * C, count, own.first);
        for (let task = 0; task < K; task++) {
          give(tauKS, (task * rows + row) * C, count, own.taus.subarray(task * piece, (task + 1) * piece));
          a.set(parameters.subarray(task * perTask + row, task * perTask + row + count), task * count);
        }
        const matrices = {
          ...{ baseRC: own.first.subarray(0, piece), tausKRC: own.taus.subarray(0, K * piece) },
          ...{ aKR: a.subarray(0, K * count), bKC: b },
        };
        kernels.addFactored(matrices, own.last);
        take(own.last, count, mergedS, row * C);
      }
    },
    gradient: (factors, gradientS, tauKS, into) => {
      const { parameters, rows, hasColumns } = factors;
      const perTask = perTaskOf(factors);
      giveColumns(factors);
      columnSums.fill(0);
      for (let row = 0; row < rows; row += most) {
        const count = Math.min(most, rows - row);
        give(gradientS, row * C, count, own.first);
        for (let task = 0; task < K; task++) {
          const at = task * perTask + row;
          give(tauKS, (task * rows + row) * C, count, own.last);
          a.set(parameters.subarray(at, at + count));
          const ofTask = (values: Float64Array) => values.subarray(task * stride, (task + 1) * stride);
          const matrices = {
            ...{ gradientRC: own.first, tauRC: own.last },
            ...{ aR: a.subarray(0, count), bC: ofTask(b) },
          };
          kernels.factorSlopes(matrices, rowSums, ofTask(columnSums));
          into.set(rowSums.subarray(0, count), at);
        }
      }
      if (!hasColumns) return;
      for (let task = 0; task < K; task++)
        into.set(columnSums.subarray(task * stride, task * stride + C), task * perTask + rows);
    },
  };
}
