/**
 * Products of matrices by WebAssembly with SIMD, for methods that make many of them. R rows of the left, J of the right matrix, C
 * columns, all row-major.
 */
import { bytesInMemory } from "./kernel-memory.js";
import { loadKernels } from "./kernels.js";

/** Rows that the kernels take at a time, and columns by type; matrices are filled up with zeros to multiples of these. */
const TILE_ROWS = 4;
const TILE_COLUMNS = { float32: 8, float64: 4 } as const;
const BYTES = { float32: 4, float64: 8 } as const;

/** sum [R, C] += left [R, J] times the right matrix. */
export type AddProduct = (leftRJ: ArrayLike<number>, sumRC: Float64Array) => void;

/**
 * Lays out a right matrix [J, C] once, for products with any number of matrices of `rows` rows. With float32, which is twice as fast, both
 * matrices and sums of 256 products are rounded to it.
 */
export function productsWith(
  rightJC: ArrayLike<number>,
  rows: number,
  columns: number,
  dtype: keyof typeof TILE_COLUMNS,
): AddProduct {
  const inner = rightJC.length / columns;
  const tile = TILE_COLUMNS[dtype];
  const [allRows, allColumns] = [filledUp(rows, TILE_ROWS), filledUp(columns, tile)];
  const lengths = [allRows * inner, allColumns * inner, allRows * allColumns] as const;
  const bytes = lengths.reduce((sum, length) => sum + bytesInMemory(BYTES[dtype] * length), 0);
  const { memory, addProduct } = loadKernels(bytes);
  const zeros = dtype === "float32" ? memory.floats : memory.doubles;
  const [left, panels, product] = [zeros(lengths[0]), zeros(lengths[1]), zeros(lengths[2])];
  layOut(rightJC, columns, tile, panels);
  return (leftRJ, sumRC) => {
    left.set(leftRJ);
    product.fill(0);
    addProduct(left, panels, product, inner);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const at = row * columns + column;
        sumRC[at] = (sumRC[at] ?? 0) + (product[row * allColumns + column] ?? 0);
      }
  };
}

/** A^T A [C, C] of a matrix [R, C], in float64. */
export function gramOf(matrixRC: ArrayLike<number>, columns: number): Float64Array {
  const rows = matrixRC.length / columns;
  const allColumns = filledUp(columns, TILE_COLUMNS.float64);
  const lengths = [rows * allColumns, allColumns * allColumns] as const;
  const { memory, addGram } = loadKernels(
    lengths.reduce((sum, length) => sum + bytesInMemory(BYTES.float64 * length), 0),
  );
  const [panels, tiles] = [memory.doubles(lengths[0]), memory.doubles(lengths[1])];
  layOut(matrixRC, columns, TILE_COLUMNS.float64, panels);
  addGram(panels, tiles, rows);
  const gramCC = new Float64Array(columns * columns);
  for (let row = 0; row < columns; row++)
    for (let column = 0; column <= row; column++) {
      const value = tiles[row * allColumns + column] ?? 0;
      gramCC[row * columns + column] = value;
      gramCC[column * columns + row] = value;
    }
  return gramCC;
}

/** A matrix [J, C] in panels of `tile` columns, [C / tile, J, tile]. */
function layOut(matrixJC: ArrayLike<number>, columns: number, tile: number, panels: Float32Array | Float64Array): void {
  const inner = matrixJC.length / columns;
  for (let first = 0; first < columns; first += tile) {
    const count = Math.min(tile, columns - first);
    for (let row = 0; row < inner; row++) {
      const [from, to] = [row * columns + first, first * inner + row * tile];
      for (let column = 0; column < count; column++) panels[to + column] = matrixJC[from + column] ?? 0;
    }
  }
}

/** The matrix [R, C] with rows and columns exchanged, [C, R]. */
export function transposed<T extends Float32Array | Float64Array>(valuesRC: T, columns: number): T;
export function transposed(valuesRC: Float32Array | Float64Array, columns: number): Float32Array | Float64Array {
  const rows = valuesRC.length / columns;
  const valuesCR = new (valuesRC instanceof Float32Array ? Float32Array : Float64Array)(valuesRC.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      valuesCR[column * rows + row] = valuesRC[row * columns + column] ?? 0;
  return valuesCR;
}

function filledUp(length: number, tile: number): number {
  return Math.ceil(length / tile) * tile;
}
