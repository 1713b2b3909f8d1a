/**
 * The table of positions for images of another size than the one it was trained for. Interpolation is linear, so that
 * the table of a merged model is the merge of the tables, and gradients flow: along each axis the table is multiplied
 * with a matrix that follows from the two sizes alone.
 * Source: torch's interpolate(mode="bicubic", align_corners=False), ATen/native/cpu/UpSampleKernel.cpp. R, Q rows
 * before and after, C, S columns, D width.
 */
import { type Tensor, tf } from "../../engine/tf.js";
import { assert } from "../../errors.js";

/**
 * With antialiasing the filter is widened where the table shrinks, and is Pillow's (a = -0.5, weights at the border
 * brought to the sum 1).
 */
export interface Interpolation {
  readonly isAntialiased: boolean;
}

/** Keys' cubic convolution. */
function cubic(offset: number, a: number): number {
  const x = Math.abs(offset);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? a * (((x - 5) * x + 8) * x - 4) : 0;
}

/** The values of an axis of `to` places as sums of those of one of `from` places: rows of [to, from], each of sum 1. */
export function axisInterpolation(from: number, to: number, { isAntialiased }: Interpolation): Float32Array {
  const matrix = new Float32Array(to * from);
  const scale = from / to;
  for (let place = 0; place < to; place++) {
    const row = isAntialiased ? antialiasedRow(from, scale, place) : plainRow(from, scale, place);
    matrix.set(row, place * from);
  }
  return matrix;
}

/** Four neighbours, a = -0.75; what lies outside is the border. */
function plainRow(from: number, scale: number, place: number): Float64Array {
  const row = new Float64Array(from);
  const position = scale * (place + 0.5) - 0.5;
  const first = Math.floor(position);
  for (let neighbour = first - 1; neighbour <= first + 2; neighbour++) {
    const inside = Math.min(from - 1, Math.max(0, neighbour));
    row[inside] = (row[inside] ?? 0) + cubic(position - neighbour, -0.75);
  }
  return row;
}

function antialiasedRow(from: number, scale: number, place: number): Float64Array {
  const row = new Float64Array(from);
  const widening = Math.max(scale, 1);
  const centre = scale * (place + 0.5);
  const first = Math.max(0, Math.trunc(centre - 2 * widening + 0.5));
  const end = Math.min(from, Math.trunc(centre + 2 * widening + 0.5));
  for (let neighbour = first; neighbour < end; neighbour++)
    row[neighbour] = cubic((neighbour - centre + 0.5) / widening, -0.5);
  const sum = row.reduce((total, value) => total + value, 0);
  return row.map((value) => value / sum);
}

/** The table [R * C, D] of a grid, for another grid: [Q * S, D]. */
export function interpolatePositions(
  table: Tensor,
  [rows, columns]: readonly [number, number],
  [newRows, newColumns]: readonly [number, number],
  interpolation: Interpolation,
): Tensor {
  const width = table.shape[1];
  assert(width !== undefined, "a table of positions that is none");
  const matrix = (from: number, to: number): Tensor =>
    tf.tensor2d(axisInterpolation(from, to, interpolation), [to, from]);
  const alongRows = tf.matMul(matrix(rows, newRows), tf.reshape(table, [rows, columns * width]));
  const columnsFirst = tf.transpose(tf.reshape(alongRows, [newRows, columns, width]), [1, 0, 2]);
  const alongBoth = tf.matMul(matrix(columns, newColumns), tf.reshape(columnsFirst, [columns, newRows * width]));
  const grid = tf.transpose(tf.reshape(alongBoth, [newColumns, newRows, width]), [1, 0, 2]);
  return tf.reshape(grid, [newRows * newColumns, width]);
}
