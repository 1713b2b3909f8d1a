/**
 * Eigenvalues and eigenvectors of a symmetric matrix in float64: Householder's tridiagonal form, implicit QL, its
 * rotations and the reflections applied to the vectors in WebAssembly (kernels/eigen.ts). Golub and Van Loan, Matrix
 * Computations (4th ed.), 8.3; QL with Wilkinson's shift as EISPACK's imtql2. N rows and columns, R vectors.
 */
import { assert } from "../errors.js";
import { bytesInMemory } from "./kernels/kernel-memory.js";
import { type Kernels, loadKernels } from "./kernels/kernels.js";

export interface SymmetricEigen {
  /** [N], descending. */
  readonly values: Float64Array;
  /** Of the `count` largest eigenvalues: [R, N], orthonormal rows, equal eigenvalues too. */
  leadingVectors(count: number): Float64Array;
}

/** Columns of a panel of rotated rows, as kernels/eigen.ts has them. */
const PANEL = 8;
/** Rotations are gathered for as many sweeps: for 384 rows 98 KB, of which the second cache has room. */
const SWEEPS = 16;
/** QL takes about 2 for each eigenvalue. EISPACK's limit. */
const MAX_QL_ITERATIONS = 30;
const DOUBLE_BYTES = 8;

export function symmetricEigen(matrixNN: Float64Array, size: number): SymmetricEigen {
  const stride = Math.ceil(size / PANEL) * PANEL;
  const doubles = [
    ...Array<number>(3).fill(size * stride),
    (size + 1) * stride,
    ...Array<number>(6).fill(stride),
    2 * SWEEPS * stride,
  ];
  const bytes = doubles.reduce((sum, length) => sum + bytesInMemory(DOUBLE_BYTES * length), 0);
  const kernels = loadKernels(bytes + bytesInMemory(DOUBLE_BYTES * SWEEPS) + bytesInMemory(DOUBLE_BYTES * stride));
  // Squares of huge or tiny numbers would be lost; a power of two changes no digit.
  const largest = matrixNN.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const unit = largest === 0 ? 1 : 2 ** Math.floor(Math.log2(largest));
  const scaled = matrixNN.map((value) => value / unit);
  const form = tridiagonal(kernels, scaled, size, stride);
  const rotated = kernels.memory.doubles(size * stride);
  for (let i = 0; i < size; i++) rotated[placeInPanels(i, i, size)] = 1;
  const values = diagonalise(kernels, form, rotated, size);
  // Reflected by twos.
  const all = kernels.memory.doubles((size + (size % 2)) * stride);
  const order = [...values.keys()].sort((a, b) => at(values, b) - at(values, a));
  return {
    values: Float64Array.from(order, (index) => at(values, index) * unit),
    leadingVectors: (count) => {
      const rows = all.subarray(0, (count + (count % 2)) * stride);
      rows.fill(0);
      for (const [r, row] of order.slice(0, count).entries())
        for (let i = 0; i < size; i++) rows[r * stride + i] = at(rotated, placeInPanels(row, i, size));
      kernels.reflectRows(rows, form.reflections, form.scales, stride);
      const vectorsRN = new Float64Array(count * size);
      for (let r = 0; r < count; r++) vectorsRN.set(rows.subarray(r * stride, r * stride + size), r * size);
      return vectorsRN;
    },
  };
}

interface Tridiagonal {
  readonly diagonal: Float64Array;
  /** [N], the last is 0. */
  readonly below: Float64Array;
  /** [N, stride]: reflection k is I - scale_k v v^T with v in row k, zeros up to k. */
  readonly reflections: Float64Array;
  readonly scales: Float64Array;
}

/**
 * Reflections Q with Q^T A Q tridiagonal. What reflection k does to the rest of the matrix, A - v w^T - w v^T, is done
 * together with the product that the next one needs.
 */
function tridiagonal(kernels: Kernels, matrixNN: Float64Array, size: number, stride: number): Tridiagonal {
  const { memory } = kernels;
  const a = memory.doubles(size * stride);
  for (let i = 0; i < size; i++) a.set(matrixNN.subarray(i * size, (i + 1) * size), i * stride);
  const reflections = memory.doubles(size * stride);
  const scales = memory.doubles(stride);
  const [v, w, next, product] = [
    memory.doubles(stride),
    memory.doubles(stride),
    memory.doubles(stride),
    memory.doubles(stride),
  ];
  const diagonal = new Float64Array(size);
  const below = new Float64Array(size);
  for (let k = 0; k < size; k++) {
    const row = a.subarray(k * stride, k * stride + size);
    const [vk, wk] = [at(v, k), at(w, k)];
    for (let j = k; j < size; j++) row[j] = at(row, j) - vk * at(w, j) - wk * at(v, j);
    diagonal[k] = at(row, k);
    next.fill(0);
    next.set(row.subarray(k + 1), k + 1);
    const { length, scale } = reflectionOf(next, k + 1);
    below[k] = length;
    scales[k] = scale;
    reflections.set(next, k * stride);
    kernels.updateAndMultiply(a, { v, w, next, product }, k + 1, size);
    let dot = 0;
    for (let i = k + 1; i < size; i++) dot += at(product, i) * at(next, i);
    const half = (scale * scale * dot) / 2;
    w.fill(0, 0, k + 1);
    for (let i = k + 1; i < size; i++) w[i] = scale * at(product, i) - half * at(next, i);
    v.set(next);
  }
  return { diagonal, below, reflections, scales };
}

/**
 * Makes of the elements x from `first` on the vector v of a reflection I - scale v v^T that leaves nothing of x but its
 * first element, then `length`. A scale of 0 with v of zeros where nothing else is there.
 */
function reflectionOf(x: Float64Array, first: number): { readonly length: number; readonly scale: number } {
  let largest = 0;
  for (let i = first + 1; i < x.length; i++) largest = Math.max(largest, Math.abs(at(x, i)));
  const head = at(x, first);
  if (largest === 0) {
    x.fill(0);
    return { length: head, scale: 0 };
  }
  // Divided by the largest element, so that no square is lost or infinite.
  largest = Math.max(largest, Math.abs(head));
  let squares = 0;
  for (let i = first; i < x.length; i++) {
    x[i] = at(x, i) / largest;
    if (i > first) squares += at(x, i) ** 2;
  }
  const own = at(x, first);
  const length = own > 0 ? -Math.sqrt(squares + own * own) : Math.sqrt(squares + own * own);
  x[first] = own - length;
  return { length: length * largest, scale: 2 / (squares + at(x, first) ** 2) };
}

/** Eigenvalues of the tridiagonal form, in no order; row i of `rotated` becomes the vector of value i, in panels. */
function diagonalise(
  kernels: Kernels,
  { diagonal, below }: Tridiagonal,
  rotated: Float64Array,
  size: number,
): Float64Array {
  const [d, e] = [diagonal.slice(), below.slice()];
  const rotations = kernels.memory.doubles(2 * SWEEPS * size);
  const sweeps = kernels.memory.words(2 * SWEEPS);
  let [sweepCount, used] = [0, 0];
  const apply = (): void => {
    kernels.rotateRows(rotated, size, sweeps, sweepCount, rotations);
    [sweepCount, used] = [0, 0];
  };
  // Of the matrix, not of the values nearby: those that are rounding themselves would go on for long.
  const rounding = Number.EPSILON * Math.max(...d.map(Math.abs), ...e.map(Math.abs));
  for (let l = 0; l < size; l++) {
    for (let iteration = 0; ; iteration++) {
      let m = l;
      for (; m + 1 < size; m++) {
        if (Math.abs(at(e, m)) <= rounding) break;
      }
      if (m === l) break;
      assert(iteration < MAX_QL_ITERATIONS, "an eigenvalue does not converge");
      const own = rotations.subarray(used, used + 2 * (m - l));
      sweeps[2 * sweepCount] = m;
      sweeps[2 * sweepCount + 1] = qlSweep(d, e, l, m, own);
      used += 2 * (m - at(sweeps, 2 * sweepCount + 1));
      if (++sweepCount === SWEEPS) apply();
    }
  }
  apply();
  return d;
}

/** Rotations of rows m - 1 down to l, or to the row that is returned, where the form has come apart. */
function qlSweep(d: Float64Array, e: Float64Array, l: number, m: number, rotations: Float64Array): number {
  let g = (at(d, l + 1) - at(d, l)) / (2 * at(e, l));
  let r = Math.hypot(g, 1);
  g = at(d, m) - at(d, l) + at(e, l) / (g + (g < 0 ? -r : r));
  let [s, c, p] = [1, 1, 0];
  for (let i = m - 1; i >= l; i--) {
    const f = s * at(e, i);
    const b = c * at(e, i);
    r = Math.sqrt(f * f + g * g);
    e[i + 1] = r;
    if (r === 0) {
      d[i + 1] = at(d, i + 1) - p;
      e[m] = 0;
      return i + 1;
    }
    s = f / r;
    c = g / r;
    g = at(d, i + 1) - p;
    const t = (at(d, i) - g) * s + 2 * c * b;
    p = s * t;
    d[i + 1] = g + p;
    g = c * t - b;
    const place = 2 * (m - 1 - i);
    rotations[place] = c;
    rotations[place + 1] = s;
  }
  d[l] = at(d, l) - p;
  e[l] = g;
  e[m] = 0;
  return l;
}

function placeInPanels(row: number, column: number, size: number): number {
  const inPanel = column % PANEL;
  return (column - inPanel) * size + row * PANEL + inPanel;
}

/** 0 beyond the end. */
function at(values: ArrayLike<number>, index: number): number {
  return values[index] ?? 0;
}
