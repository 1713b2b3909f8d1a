/**
 * Eigenvalues of a symmetric matrix, and the vectors of the largest ones, in float64: Householder's tridiagonal form,
 * its eigenvalues by implicit QL, vectors by inverse iteration. Golub and Van Loan, Matrix Computations (4th ed.), 8.3
 * and 8.2.2, as LAPACK's dsyevx. For 32 of 384 vectors this takes a sixth of the time of a whole decomposition
 * (svd.ts). N rows and columns, R vectors.
 */
import { assert } from "../errors.js";
import { createRng } from "../runtime/rng.js";

export interface Eigenvalues {
  /** [N], descending. */
  readonly values: Float64Array;
  /** Of the `count` largest eigenvalues: [R, N], orthonormal rows. */
  leadingVectors(count: number): Float64Array;
}

/** One step is enough from almost any beginning; three leave nothing of the others. */
const INVERSE_ITERATIONS = 3;
/** QL takes about 2 for each eigenvalue. EISPACK's limit. */
const MAX_QL_ITERATIONS = 30;

/** The lower half of `matrixNN` is read. */
export function symmetricEigenvalues(matrixNN: Float64Array, size: number): Eigenvalues {
  const reflected = matrixNN.slice();
  const { diagonal, below, scales } = tridiagonal(reflected, size);
  const values = qlEigenvalues(diagonal, below).sort().reverse();
  return {
    values,
    leadingVectors: (count) => {
      const vectorsRN = tridiagonalVectors(diagonal, below, values.subarray(0, count));
      for (let r = 0; r < count; r++)
        undoReflections(vectorsRN.subarray(r * size, (r + 1) * size), reflected, scales, size);
      return vectorsRN;
    },
  };
}

interface Tridiagonal {
  readonly diagonal: Float64Array;
  /** [N - 1] */
  readonly below: Float64Array;
  /** Of reflection k, I - scale v v^T; v is left in row k of the matrix, right of its diagonal. */
  readonly scales: Float64Array;
}

/** In place: reflections Q with Q^T A Q tridiagonal. */
function tridiagonal(a: Float64Array, size: number): Tridiagonal {
  const diagonal = new Float64Array(size);
  const below = new Float64Array(Math.max(size - 1, 0));
  const scales = new Float64Array(size);
  const v = new Float64Array(size);
  const w = new Float64Array(size);
  for (let k = 0; k + 1 < size; k++) {
    diagonal[k] = at(a, k * size + k);
    let squares = 0;
    for (let i = k + 1; i < size; i++) {
      v[i] = at(a, i * size + k);
      squares += at(v, i) ** 2;
    }
    const first = at(v, k + 1);
    const length = Math.sqrt(squares);
    if (squares === first * first) {
      // Nothing but the first is there: already in form.
      below[k] = first;
      continue;
    }
    const target = first > 0 ? -length : length;
    below[k] = target;
    v[k + 1] = first - target;
    const scale = 2 / (squares - first * first + at(v, k + 1) ** 2);
    scales[k] = scale;
    reflectBothSides(a, v, w, k + 1, size, scale);
    a.set(v.subarray(k + 1), k * size + k + 1);
  }
  if (size > 0) diagonal[size - 1] = at(a, size * size - 1);
  return { diagonal, below, scales };
}

/** The lower half of A from row `from` on becomes (I - s v v^T) A (I - s v v^T) = A - v w^T - w v^T. */
function reflectBothSides(
  a: Float64Array,
  v: Float64Array,
  w: Float64Array,
  from: number,
  size: number,
  scale: number,
): void {
  w.fill(0, from);
  for (let i = from; i < size; i++) {
    const row = i * size;
    const vi = at(v, i);
    let sum = at(a, row + i) * vi;
    for (let j = from; j < i; j++) {
      const value = at(a, row + j);
      sum += value * at(v, j);
      w[j] = at(w, j) + value * vi;
    }
    w[i] = at(w, i) + sum;
  }
  let dot = 0;
  for (let i = from; i < size; i++) dot += at(w, i) * at(v, i);
  const half = (scale * scale * dot) / 2;
  for (let i = from; i < size; i++) w[i] = scale * at(w, i) - half * at(v, i);
  for (let i = from; i < size; i++) {
    const [row, vi, wi] = [i * size, at(v, i), at(w, i)];
    for (let j = from; j <= i; j++) a[row + j] = at(a, row + j) - vi * at(w, j) - wi * at(v, j);
  }
}

/** A vector of the tridiagonal form as one of the matrix, in place. */
function undoReflections(vectorN: Float64Array, reflected: Float64Array, scales: Float64Array, size: number): void {
  for (let k = size - 2; k >= 0; k--) {
    const scale = at(scales, k);
    if (scale === 0) continue;
    let dot = 0;
    for (let i = k + 1; i < size; i++) dot += at(reflected, k * size + i) * at(vectorN, i);
    for (let i = k + 1; i < size; i++) vectorN[i] = at(vectorN, i) - scale * dot * at(reflected, k * size + i);
  }
}

/** Implicit QL with Wilkinson's shift, values only (EISPACK's imtql1), in no order. */
function qlEigenvalues(diagonal: Float64Array, below: Float64Array): Float64Array {
  const size = diagonal.length;
  const d = diagonal.slice();
  const e = new Float64Array(size);
  e.set(below);
  for (let l = 0; l < size; l++) {
    for (let iteration = 0; ; iteration++) {
      let m = l;
      for (; m + 1 < size; m++) {
        const around = Math.abs(at(d, m)) + Math.abs(at(d, m + 1));
        if (around + Math.abs(at(e, m)) === around) break;
      }
      if (m === l) break;
      assert(iteration < MAX_QL_ITERATIONS, "an eigenvalue does not converge");
      qlStep(d, e, l, m);
    }
  }
  return d;
}

function qlStep(d: Float64Array, e: Float64Array, l: number, m: number): void {
  let g = (at(d, l + 1) - at(d, l)) / (2 * at(e, l));
  let r = Math.sqrt(g * g + 1);
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
      return;
    }
    s = f / r;
    c = g / r;
    g = at(d, i + 1) - p;
    const t = (at(d, i) - g) * s + 2 * c * b;
    p = s * t;
    d[i + 1] = g + p;
    g = c * t - b;
  }
  d[l] = at(d, l) - p;
  e[l] = g;
  e[m] = 0;
}

/**
 * [R, N] by inverse iteration. Each is made orthogonal to all before it, so that equal and close eigenvalues get
 * different vectors; what a group of close ones spans is exact all the same.
 */
function tridiagonalVectors(diagonal: Float64Array, below: Float64Array, values: Float64Array): Float64Array {
  const size = diagonal.length;
  const vectorsRN = new Float64Array(values.length * size);
  // Of any seed: the beginnings must only have some of every direction.
  const rng = createRng(0);
  for (const [r, value] of values.entries()) {
    const own = vectorsRN.subarray(r * size, (r + 1) * size);
    for (let i = 0; i < size; i++) own[i] = rng.nextFloat() - 0.5;
    const solve = shiftedSolver(diagonal, below, value);
    for (let iteration = 0; iteration < INVERSE_ITERATIONS; iteration++) {
      solve(own);
      normalise(own);
      // Twice: what the first pass leaves by rounding, the second removes.
      for (let pass = 0; pass < 2; pass++) {
        for (let other = 0; other < r; other++) removeFrom(own, vectorsRN.subarray(other * size, (other + 1) * size));
        normalise(own);
      }
    }
  }
  return vectorsRN;
}

/** Solves (T - shift I) x = b in place, by elimination with exchange of neighbouring rows. */
function shiftedSolver(diagonal: Float64Array, below: Float64Array, shift: number): (b: Float64Array) => void {
  const size = diagonal.length;
  const largest = Math.max(...diagonal.map(Math.abs), ...below.map(Math.abs), Number.MIN_VALUE / Number.EPSILON);
  const tiny = Number.EPSILON * largest;
  const [u0, u1, u2] = [diagonal.map((value) => value - shift), new Float64Array(size), new Float64Array(size)];
  u1.set(below);
  const factors = new Float64Array(size);
  const isExchanged = new Uint8Array(size);
  for (let i = 0; i + 1 < size; i++) {
    const lower = at(below, i);
    if (Math.abs(at(u0, i)) < Math.abs(lower)) {
      isExchanged[i] = 1;
      const factor = at(u0, i) / lower;
      factors[i] = factor;
      const [next0, next1] = [at(u0, i + 1), at(u1, i + 1)];
      u0[i + 1] = at(u1, i) - factor * next0;
      u1[i + 1] = -factor * next1;
      [u0[i], u1[i], u2[i]] = [lower, next0, next1];
    } else {
      if (at(u0, i) === 0) u0[i] = tiny;
      const factor = lower / at(u0, i);
      factors[i] = factor;
      u0[i + 1] = at(u0, i + 1) - factor * at(u1, i);
    }
  }
  // An eigenvalue makes the matrix singular; the last pivot is as small as rounding can tell.
  for (let i = 0; i < size; i++) if (Math.abs(at(u0, i)) < tiny) u0[i] = tiny;
  return (b) => {
    for (let i = 0; i + 1 < size; i++) {
      if (isExchanged[i] === 1) [b[i], b[i + 1]] = [at(b, i + 1), at(b, i)];
      b[i + 1] = at(b, i + 1) - at(factors, i) * at(b, i);
    }
    for (let i = size - 1; i >= 0; i--)
      b[i] = (at(b, i) - at(u1, i) * at(b, i + 1) - at(u2, i) * at(b, i + 2)) / at(u0, i);
  };
}

function normalise(vectorN: Float64Array): void {
  let largest = 0;
  for (let i = 0; i < vectorN.length; i++) largest = Math.max(largest, Math.abs(at(vectorN, i)));
  assert(largest > 0 && Number.isFinite(largest), `a vector of largest element ${largest}`);
  let squares = 0;
  for (let i = 0; i < vectorN.length; i++) squares += (at(vectorN, i) / largest) ** 2;
  const length = largest * Math.sqrt(squares);
  for (let i = 0; i < vectorN.length; i++) vectorN[i] = at(vectorN, i) / length;
}

function removeFrom(vectorN: Float64Array, unitN: Float64Array): void {
  let dot = 0;
  for (let i = 0; i < unitN.length; i++) dot += at(vectorN, i) * at(unitN, i);
  for (let i = 0; i < unitN.length; i++) vectorN[i] = at(vectorN, i) - dot * at(unitN, i);
}

/** 0 beyond the end. */
function at(values: Float64Array, index: number): number {
  return values[index] ?? 0;
}
