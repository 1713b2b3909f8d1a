/**
 * Products of matrices in float32. R rows of the left, J of the right, C columns. Rows come in fours and columns in eights, filled up with
 * zeros. Blocks of the inner dimension are summed up one by one: what is read stays in the nearest cache, and rounding stays small.
 */

const ROWS: i32 = 4;
const COLUMNS: i32 = 8;
const BLOCK: i32 = 256;
const PANEL_BYTES: usize = 4 * COLUMNS;

/** product [R, C] += left [R, J] right [J, C], the right matrix in panels of eight columns, [C / 8, J, 8]. */
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

function addRow(product: usize, low: v128, high: v128): void {
  v128.store(product, f32x4.add(v128.load(product), low));
  v128.store(product, f32x4.add(v128.load(product, 16), high), 16);
}
