/** Interpolated tables of positions against torch's (make-image-encoders.py). */
import { describe, expect, it } from "vitest";
import { tf } from "../../../src/engine/tf.js";
import { tfjs } from "../../../src/engine/tfjs.js";
import { axisInterpolation, interpolatePositions } from "../../../src/model/vit/positions.js";
import { readFixture } from "../../conformance/fixture.js";
import { relativeError } from "../../support/random.js";

const sizes = [
  [7, 7, 4, 5],
  [3, 3, 5, 8],
  [16, 16, 13, 16],
  [5, 5, 1, 2],
] as const;

describe.each(["plain", "antialiased"])("%s", (form) => {
  it.each(sizes)("%i x %i to %i x %i is torch's", async (rows, columns, newRows, newColumns) => {
    const fixture = await readFixture("image-encoders/positions.safetensors");
    const name = `${rows}x${columns}-${newRows}x${newColumns}`;
    const isAntialiased = form === "antialiased";
    const found = tfjs.tidy(() => {
      const table = tf.tensor2d(Float32Array.from(fixture.floats(`${name}.table`)), [rows * columns, 1]);
      return interpolatePositions(table, [rows, columns], [newRows, newColumns], { isAntialiased }).dataSync();
    });
    expect(relativeError(found, fixture.floats(`${name}.${form}`))).toBeLessThan(1e-6);
  });

  it("every row of a matrix sums to 1, and a size that stays is the identity", () => {
    const isAntialiased = form === "antialiased";
    const matrix = axisInterpolation(37, 16, { isAntialiased });
    for (let row = 0; row < 16; row++)
      expect(matrix.subarray(row * 37, (row + 1) * 37).reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 6);
    const same = axisInterpolation(3, 3, { isAntialiased });
    expect([...same].map(Math.abs)).toEqual([1, 0, 0, 0, 1, 0, 0, 0, 1]);
  });
});
