/**
 * The loops of an eigendecomposition of a symmetric matrix, in float64: Householder's tridiagonal form, the rotations
 * of QL, and reflections of vectors. N rows; rows of matrices are `stride` elements apart, a multiple of 2, and zeros
 * behind their ends.
 */

const BYTES: usize = 8;
/** Columns of a panel of rotated rows: 64 bytes. */
const PANEL_BYTES: usize = 64;

/**
 * A -= v w^T + w v^T, and product = A next, for the rows from `from` on, which see columns from there on only: v, w and
 * `next` are zeros before it. One pass over A, where the update and the product by themselves would take two.
 */
export function updateAndMultiply(
  a: usize,
  v: usize,
  w: usize,
  next: usize,
  product: usize,
  from: i32,
  size: i32,
  stride: i32,
): void {
  const start = BYTES * <usize>(from & ~1);
  const end = BYTES * <usize>stride;
  let row = from;
  for (; row + 1 < size; row += 2) {
    const at = BYTES * <usize>row;
    const v0 = v128.load_splat<f64>(v + at);
    const w0 = v128.load_splat<f64>(w + at);
    const v1 = v128.load_splat<f64>(v + at + BYTES);
    const w1 = v128.load_splat<f64>(w + at + BYTES);
    const first = a + <usize>row * end;
    const second = first + end;
    let sum0 = f64x2.splat(0);
    let sum1 = sum0;
    for (let column = start; column < end; column += 16) {
      const vs = v128.load(v + column);
      const ws = v128.load(w + column);
      const factors = v128.load(next + column);
      const a0 = updated(v128.load(first + column), v0, w0, vs, ws);
      const a1 = updated(v128.load(second + column), v1, w1, vs, ws);
      v128.store(first + column, a0);
      v128.store(second + column, a1);
      sum0 = f64x2.add(sum0, f64x2.mul(a0, factors));
      sum1 = f64x2.add(sum1, f64x2.mul(a1, factors));
    }
    store<f64>(product + at, total(sum0));
    store<f64>(product + at + BYTES, total(sum1));
  }
  if (row < size) {
    const at = BYTES * <usize>row;
    const v0 = v128.load_splat<f64>(v + at);
    const w0 = v128.load_splat<f64>(w + at);
    const last = a + <usize>row * end;
    let sum = f64x2.splat(0);
    for (let column = start; column < end; column += 16) {
      const a0 = updated(v128.load(last + column), v0, w0, v128.load(v + column), v128.load(w + column));
      v128.store(last + column, a0);
      sum = f64x2.add(sum, f64x2.mul(a0, v128.load(next + column)));
    }
    store<f64>(product + at, total(sum));
  }
}

function updated(a: v128, v: v128, w: v128, vs: v128, ws: v128): v128 {
  return f64x2.sub(a, f64x2.add(f64x2.mul(v, ws), f64x2.mul(w, vs)));
}

function total(sums: v128): f64 {
  return f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
}

/**
 * Applies sweeps of rotations to neighbouring rows of a matrix that lies in panels of eight columns, [panels, N, 8]. A
 * sweep is two int32, `last` and `first`, and takes a cosine and a sine for each row from `last` - 1 down to `first`:
 * rows i and i + 1 become c a_i - s a_(i+1) and s a_i + c a_(i+1). A panel stays in the nearest cache for all of them.
 */
export function rotateRows(
  matrix: usize,
  size: i32,
  panels: i32,
  sweeps: usize,
  sweepCount: i32,
  rotations: usize,
): void {
  for (let panel: i32 = 0; panel < panels; panel++) {
    const base = matrix + PANEL_BYTES * <usize>size * <usize>panel;
    let rotation = rotations;
    for (let sweep: i32 = 0; sweep < sweepCount; sweep++) {
      const last = load<i32>(sweeps + 8 * <usize>sweep);
      const first = load<i32>(sweeps + 8 * <usize>sweep, 4);
      let row = base + PANEL_BYTES * <usize>last;
      let a = v128.load(row);
      let b = v128.load(row, 16);
      let c = v128.load(row, 32);
      let d = v128.load(row, 48);
      for (let index = last - 1; index >= first; index--, rotation += 16) {
        const cosine = v128.load_splat<f64>(rotation);
        const sine = v128.load_splat<f64>(rotation + 8);
        const above = row - PANEL_BYTES;
        let value = v128.load(above);
        v128.store(row, f64x2.add(f64x2.mul(sine, value), f64x2.mul(cosine, a)));
        a = f64x2.sub(f64x2.mul(cosine, value), f64x2.mul(sine, a));
        value = v128.load(above, 16);
        v128.store(row, f64x2.add(f64x2.mul(sine, value), f64x2.mul(cosine, b)), 16);
        b = f64x2.sub(f64x2.mul(cosine, value), f64x2.mul(sine, b));
        value = v128.load(above, 32);
        v128.store(row, f64x2.add(f64x2.mul(sine, value), f64x2.mul(cosine, c)), 32);
        c = f64x2.sub(f64x2.mul(cosine, value), f64x2.mul(sine, c));
        value = v128.load(above, 48);
        v128.store(row, f64x2.add(f64x2.mul(sine, value), f64x2.mul(cosine, d)), 48);
        d = f64x2.sub(f64x2.mul(cosine, value), f64x2.mul(sine, d));
        row = above;
      }
      v128.store(row, a);
      v128.store(row, b, 16);
      v128.store(row, c, 32);
      v128.store(row, d, 48);
    }
  }
}

/**
 * x -= scale_k v_k (v_k . x) for each row x of `count`, which is even, and each row k of `reflections` from the last to
 * the first, whose elements up to k are zeros.
 */
export function reflectRows(rows: usize, count: i32, reflections: usize, scales: usize, size: i32, stride: i32): void {
  const end = BYTES * <usize>stride;
  for (let index: i32 = 0; index < count; index += 2) {
    const first = rows + <usize>index * end;
    const second = first + end;
    for (let k = size - 1; k >= 0; k--) {
      const scale = load<f64>(scales + BYTES * <usize>k);
      if (scale === 0) continue;
      const v = reflections + <usize>k * end;
      const start = BYTES * <usize>((k + 1) & ~1);
      let sum0 = f64x2.splat(0);
      let sum1 = sum0;
      for (let column = start; column < end; column += 16) {
        const vs = v128.load(v + column);
        sum0 = f64x2.add(sum0, f64x2.mul(vs, v128.load(first + column)));
        sum1 = f64x2.add(sum1, f64x2.mul(vs, v128.load(second + column)));
      }
      const factor0 = f64x2.splat(scale * total(sum0));
      const factor1 = f64x2.splat(scale * total(sum1));
      for (let column = start; column < end; column += 16) {
        const vs = v128.load(v + column);
        v128.store(first + column, f64x2.sub(v128.load(first + column), f64x2.mul(factor0, vs)));
        v128.store(second + column, f64x2.sub(v128.load(second + column), f64x2.mul(factor1, vs)));
      }
    }
  }
}
