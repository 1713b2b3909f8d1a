/**
 * Products of matrices. R rows of the left, J of the right, C columns. Rows come in fours and columns in eights (of float64 in fours),
 * filled up with zeros. Blocks of the inner dimension are summed up one by one: what is read stays in the nearest cache, and rounding stays small.
 */

const ROWS: i32 = 4;
const COLUMNS: i32 = 8;
const BLOCK: i32 = 256;
/** A row of a panel, of either type. */
const PANEL_BYTES: usize = 32;

/** product [R, C] += left [R, J] right [J, C], all float32, the right matrix in panels of eight columns, [C / 8, J, 8]. */
export function addProduct(left: usize, panels: usize, product: usize, rows: i32, inner: i32, columns: i32): void {
  for (let from: i32 = 0; from < inner; from += BLOCK) {
    const count = min(BLOCK, inner - from);
    for (let column: i32 = 0; column < columns; column += COLUMNS) {
      const panel = panels + 4 * <usize>column * <usize>inner + PANEL_BYTES * <usize>from;
      for (let row: i32 = 0; row < rows; row += ROWS) {
        const at = product + 4 * (<usize>row * <usize>columns + <usize>column);
        addTile(
          left + 4 * (<usize>row * <usize>inner + <usize>from),
          4 * <usize>inner,
          panel,
          count,
          at,
          4 * <usize>columns,
        );
      }
    }
  }
}

/** Four rows by eight columns, whose sums stay in registers. Strides in bytes. */
function addTile(left: usize, stride: usize, panel: usize, count: i32, product: usize, productStride: usize): void {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let e = a;
  let f = a;
  let g = a;
  let h = a;
  const second = left + stride;
  const third = second + stride;
  const fourth = third + stride;
  for (let at: usize = 0; at < 4 * <usize>count; at += 4, panel += PANEL_BYTES) {
    const low = v128.load(panel);
    const high = v128.load(panel, 16);
    let value = v128.load_splat<f32>(left + at);
    a = f32x4.add(a, f32x4.mul(value, low));
    b = f32x4.add(b, f32x4.mul(value, high));
    value = v128.load_splat<f32>(second + at);
    c = f32x4.add(c, f32x4.mul(value, low));
    d = f32x4.add(d, f32x4.mul(value, high));
    value = v128.load_splat<f32>(third + at);
    e = f32x4.add(e, f32x4.mul(value, low));
    f = f32x4.add(f, f32x4.mul(value, high));
    value = v128.load_splat<f32>(fourth + at);
    g = f32x4.add(g, f32x4.mul(value, low));
    h = f32x4.add(h, f32x4.mul(value, high));
  }
  addRow(product, a, b);
  addRow(product + productStride, c, d);
  addRow(product + 2 * productStride, e, f);
  addRow(product + 3 * productStride, g, h);
}

/** product [R, C] += left [R, J] right [J, C], all float64, the right matrix in panels of four columns, [C / 4, J, 4]. */
export function addProduct64(left: usize, panels: usize, product: usize, rows: i32, inner: i32, columns: i32): void {
  for (let from: i32 = 0; from < inner; from += BLOCK) {
    const count = min(BLOCK, inner - from);
    for (let column: i32 = 0; column < columns; column += COLUMNS / 2) {
      const panel = panels + 8 * <usize>column * <usize>inner + PANEL_BYTES * <usize>from;
      for (let row: i32 = 0; row < rows; row += ROWS) {
        const at = product + 8 * (<usize>row * <usize>columns + <usize>column);
        addTile64(
          left + 8 * (<usize>row * <usize>inner + <usize>from),
          8 * <usize>inner,
          panel,
          count,
          at,
          8 * <usize>columns,
        );
      }
    }
  }
}

function addTile64(left: usize, stride: usize, panel: usize, count: i32, product: usize, productStride: usize): void {
  let a = f64x2.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let e = a;
  let f = a;
  let g = a;
  let h = a;
  const second = left + stride;
  const third = second + stride;
  const fourth = third + stride;
  for (let at: usize = 0; at < 8 * <usize>count; at += 8, panel += PANEL_BYTES) {
    const low = v128.load(panel);
    const high = v128.load(panel, 16);
    let value = v128.load_splat<f64>(left + at);
    a = f64x2.add(a, f64x2.mul(value, low));
    b = f64x2.add(b, f64x2.mul(value, high));
    value = v128.load_splat<f64>(second + at);
    c = f64x2.add(c, f64x2.mul(value, low));
    d = f64x2.add(d, f64x2.mul(value, high));
    value = v128.load_splat<f64>(third + at);
    e = f64x2.add(e, f64x2.mul(value, low));
    f = f64x2.add(f, f64x2.mul(value, high));
    value = v128.load_splat<f64>(fourth + at);
    g = f64x2.add(g, f64x2.mul(value, low));
    h = f64x2.add(h, f64x2.mul(value, high));
  }
  addRow64(product, a, b);
  addRow64(product + productStride, c, d);
  addRow64(product + 2 * productStride, e, f);
  addRow64(product + 3 * productStride, g, h);
}

function addRow64(product: usize, low: v128, high: v128): void {
  v128.store(product, f64x2.add(v128.load(product), low));
  v128.store(product, f64x2.add(v128.load(product, 16), high), 16);
}

function addRow(product: usize, low: v128, high: v128): void {
  v128.store(product, f32x4.add(v128.load(product), low));
  v128.store(product, f32x4.add(v128.load(product, 16), high), 16);
}
