/** Products of matrices against the same written out per element in float64, for sizes that are and are not whole tiles, panels and blocks. */
import { expect, it } from "vitest";
import { gramOf, productsWith, transposed } from "../../../src/merge/kernels/products.js";
import { randomArray, relativeError } from "../../support/random.js";

function written(leftRJ: Float32Array, rightJC: Float32Array, rows: number, columns: number): Float64Array {
  const inner = leftRJ.length / rows;
  return Float64Array.from({ length: rows * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let j = 0; j < inner; j++) sum += (leftRJ[row * inner + j] ?? 0) * (rightJC[j * columns + column] ?? 0);
    return sum;
  });
}

it.each([
  [1, 1, 1],
  [4, 256, 8],
  [5, 257, 9],
  [12, 600, 24],
  [3, 7, 70],
  [33, 2, 15],
])("%i x %i times %i columns", (rows, inner, columns) => {
  const right = randomArray(inner * columns, 1, -1, 1);
  const add = productsWith(right, rows, columns, "float32");
  const addInDoubles = productsWith(right, rows, columns, "float64");
  for (const seed of [2, 3]) {
    const left = randomArray(rows * inner, seed, -1, 1);
    const sum = new Float64Array(rows * columns).fill(1);
    add(left, sum);
    const wanted = written(left, right, rows, columns);
    const change = sum.map((value) => value - 1);
    expect(relativeError(change, wanted)).toBeLessThan(1e-6);
    const inDoubles = new Float64Array(rows * columns);
    addInDoubles(left, inDoubles);
    expect(relativeError(inDoubles, wanted)).toBeLessThan(1e-14);
  }
});

it("exchanges rows and columns", () => {
  expect(transposed(Float32Array.of(1, 2, 3, 4, 5, 6), 3)).toEqual(Float32Array.of(1, 4, 2, 5, 3, 6));
});

it.each([
  [1, 1],
  [3, 5],
  [600, 9],
  [4, 16],
])("the Gram matrix of [%i, %i] is the product with itself", (rows, columns) => {
  const matrix = randomArray(rows * columns, rows);
  const wanted = new Float64Array(columns * columns);
  productsWith(matrix, columns, columns, "float64")(transposed(matrix, columns), wanted);
  const gram = gramOf(matrix, columns);
  expect(relativeError(gram, wanted)).toBeLessThan(1e-14);
  expect(gram).toEqual(transposed(gram, columns));
});
