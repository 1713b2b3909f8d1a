/**
 * Products of float32 matrices by WebAssembly with SIMD, for methods that make many of them. R rows of the left, J of the right matrix, C
 * columns, all row-major.
 */
import { bytesInMemory } from "./kernel-memory.js";
import { loadKernels } from "./kernels.js";

/** What the kernel takes at a time; matrices are filled up with zeros to multiples of these. */
const [TILE_ROWS, TILE_COLUMNS] = [4, 8];

/** sum [R, C] += left [R, J] times the right matrix. The left matrix is rounded to float32, and so are sums of 256 products. */
export type AddProduct = (leftRJ: ArrayLike<number>, sumRC: Float64Array) => void;

/** Lays out a right matrix [J, C] once, for products with any number of matrices of `rows` rows. It is rounded to float32. */
export function productsWith(rightJC: ArrayLike<number>, rows: number, columns: number): AddProduct {
  const inner = rightJC.length / columns;
  const [allRows, allColumns] = [filledUp(rows, TILE_ROWS), filledUp(columns, TILE_COLUMNS)];
  const lengths = [allRows * inner, allColumns * inner, allRows * allColumns] as const;
  const { memory, addProduct } = loadKernels(lengths.reduce((sum, length) => sum + bytesInMemory(4 * length), 0));
  const [left, panels, product] = [memory.floats(lengths[0]), memory.floats(lengths[1]), memory.floats(lengths[2])];
  for (let row = 0; row < inner; row++)
    for (let column = 0; column < columns; column++) {
      const panel = (column - (column % TILE_COLUMNS)) * inner;
      panels[panel + row * TILE_COLUMNS + (column % TILE_COLUMNS)] = rightJC[row * columns + column] ?? 0;
    }
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

/** The matrix [R, C] with rows and columns exchanged, [C, R]. */
export function transposed(valuesRC: Float32Array, columns: number): Float32Array {
  const rows = valuesRC.length / columns;
  const valuesCR = new Float32Array(valuesRC.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      valuesCR[column * rows + row] = valuesRC[row * columns + column] ?? 0;
  return valuesCR;
}

function filledUp(length: number, tile: number): number {
  return Math.ceil(length / tile) * tile;
}
