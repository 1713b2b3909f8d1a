/**
 * Products of matrices. R rows of the left, J of the right, C columns. Rows come in fours and columns in eights (of float64 in fours),
 * filled up with zeros. Blocks of the inner dimension are summed up one by one: what is read stays in the nearest cache, and rounding stays small.
 */

const ROWS: i32 = 4;
const BLOCK: i32 = 256;
/** A row of a panel, of either type. */
const PANEL_BYTES: usize = 32;

/** product [R, C] += left [R, J] right [J, C], all float32, the right matrix in panels of eight columns, [C / 8, J, 8]. */
export function addProduct(left: usize, panels: usize, product: usize, rows: i32, inner: i32, columns: i32): void {
  addBlocks<f32>(left, panels, product, rows, inner, columns);
}

/** The same of float64, in panels of four columns, [C / 4, J, 4]. */
export function addProduct64(left: usize, panels: usize, product: usize, rows: i32, inner: i32, columns: i32): void {
  addBlocks<f64>(left, panels, product, rows, inner, columns);
}

function addBlocks<T>(left: usize, panels: usize, product: usize, rows: i32, inner: i32, columns: i32): void {
  const panelColumns = <i32>(PANEL_BYTES / sizeof<T>());
  const leftStride = sizeof<T>() * <usize>inner;
  const productStride = sizeof<T>() * <usize>columns;
  for (let from: i32 = 0; from < inner; from += BLOCK) {
    const count = min(BLOCK, inner - from);
    for (let column: i32 = 0; column < columns; column += panelColumns) {
      const panel = panels + <usize>column * leftStride + PANEL_BYTES * <usize>from;
      for (let row: i32 = 0; row < rows; row += ROWS) {
        const at = product + <usize>row * productStride + sizeof<T>() * <usize>column;
        const rowsAt = left + <usize>row * leftStride + sizeof<T>() * <usize>from;
        addTile<T>(rowsAt, leftStride, sizeof<T>(), panel, count, at, productStride);
      }
    }
  }
}

/**
 * Four rows of the left by the columns of a panel, whose sums stay in registers. All strides are bytes: of the left
 * from row to row, and `step` along a row.
 */
function addTile<T>(
  left: usize,
  stride: usize,
  step: usize,
  panel: usize,
  count: i32,
  product: usize,
  productStride: usize,
): void {
  let a = v128.splat<T>(<T>0);
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
  for (let at: usize = 0; at < step * <usize>count; at += step, panel += PANEL_BYTES) {
    const low = v128.load(panel);
    const high = v128.load(panel, 16);
    let value = v128.load_splat<T>(left + at);
    a = v128.add<T>(a, v128.mul<T>(value, low));
    b = v128.add<T>(b, v128.mul<T>(value, high));
    value = v128.load_splat<T>(second + at);
    c = v128.add<T>(c, v128.mul<T>(value, low));
    d = v128.add<T>(d, v128.mul<T>(value, high));
    value = v128.load_splat<T>(third + at);
    e = v128.add<T>(e, v128.mul<T>(value, low));
    f = v128.add<T>(f, v128.mul<T>(value, high));
    value = v128.load_splat<T>(fourth + at);
    g = v128.add<T>(g, v128.mul<T>(value, low));
    h = v128.add<T>(h, v128.mul<T>(value, high));
  }
  addRow<T>(product, a, b);
  addRow<T>(product + productStride, c, d);
  addRow<T>(product + 2 * productStride, e, f);
  addRow<T>(product + 3 * productStride, g, h);
}

function addRow<T>(product: usize, low: v128, high: v128): void {
  v128.store(product, v128.add<T>(v128.load(product), low));
  v128.store(product, v128.add<T>(v128.load(product, 16), high), 16);
}

/**
 * gram [C, C] += A^T A of a matrix in the panels of `addProduct64`, [C / 4, R, 4]: tiles on and below the diagonal.
 */
export function addGram64(panels: usize, gram: usize, rows: i32, columns: i32): void {
  const panelColumns: i32 = 4;
  const stride = sizeof<f64>() * <usize>columns;
  for (let from: i32 = 0; from < rows; from += BLOCK) {
    const count = min(BLOCK, rows - from);
    for (let row: i32 = 0; row < columns; row += panelColumns) {
      const left = panels + sizeof<f64>() * <usize>row * <usize>rows + PANEL_BYTES * <usize>from;
      for (let column: i32 = 0; column <= row; column += panelColumns) {
        const right = panels + sizeof<f64>() * <usize>column * <usize>rows + PANEL_BYTES * <usize>from;
        const at = gram + <usize>row * stride + sizeof<f64>() * <usize>column;
        // The columns of the left panel are the rows of its transpose.
        addTile<f64>(left, sizeof<f64>(), PANEL_BYTES, right, count, at, stride);
      }
    }
  }
}
