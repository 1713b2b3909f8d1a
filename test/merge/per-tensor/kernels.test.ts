/** The loops over models against the same written out per element, for few and for many models. */
import { describe, expect, it } from "vitest";
import { agreedSum, weightedSum } from "../../../src/merge/per-tensor/kernels.js";
import { dropAtRandom } from "../../../src/merge/random-element.js";
import { randomArray } from "../../support/random.js";

const SIZE = 1000;

describe.each([1, 2, 3, 4, 5, 9])("%i models", (count) => {
  const models = Array.from({ length: count }, (_, model) =>
    // Zeros among them, as trimming leaves them.
    randomArray(SIZE, model + 1, -1, 1).map((value, i) => ((i + model) % 3 === 0 ? 0 : value)),
  );
  const weightsM = models.map((_, model) => (model === 1 ? -0.4 : 0.3 + 0.1 * model));
  const copies = () => models.map((values) => values.slice());

  it("sums", () => {
    const expected = Float32Array.from({ length: SIZE }, (_, i) =>
      models.reduce((sum, values, model) => sum + (weightsM[model] ?? 0) * (values[i] ?? 0), 0),
    );
    const sum = weightedSum(weightsM);
    for (let turn = 0; turn < 2; turn++) {
      const own = copies();
      sum(own, own[0] ?? new Float32Array());
      expect(own[0]).toEqual(expected);
    }
  });

  it.each([true, false])("sums what agrees, normalize %s", (normalize) => {
    const base = randomArray(SIZE, 99, -1, 1);
    const sharesM = weightsM.map((weight) => 2 * weight);
    const expected = base.map((start, i) => {
      const values = models.map((own, model) => (weightsM[model] ?? 0) * (own[i] ?? 0));
      const sign = values.reduce((a, b) => a + b, 0) >= 0 ? 1 : -1;
      let [sum, share] = [0, 0];
      for (const [model, value] of values.entries())
        if (Math.sign(value) === sign) [sum, share] = [sum + value, share + (sharesM[model] ?? 0)];
      return start + (1.5 * sum) / (normalize && share !== 0 ? share : 1);
    });
    const found = base.slice();
    agreedSum({ weightsM, sharesM, normalize, lambda: 1.5 })(copies(), found);
    for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 5);
  });
});

describe("dropping at random", () => {
  it("keeps the share that was asked for, another for another key, and does not see pieces", () => {
    const ones = new Float32Array(1 << 18).fill(1);
    const dropped = (key: number, density: number, length = ones.length) => {
      const own = ones.slice();
      for (let from = 0; from < own.length; from += length)
        dropAtRandom(own.subarray(from, from + length), key, 2 ** 32 - 1000 + from, density);
      return own;
    };
    const kept = (values: Float32Array) => values.reduce((a, b) => a + b, 0) / values.length;
    for (const density of [0.1, 0.5, 0.9]) {
      expect(Math.abs(kept(dropped(1, density)) - density)).toBeLessThan(
        4 * Math.sqrt((density * (1 - density)) / ones.length),
      );
      expect(dropped(1, density, 777)).toEqual(dropped(1, density));
    }
    const [one, two] = [dropped(1, 0.5), dropped(2, 0.5)];
    // Independent: both keep a quarter.
    const both = one.map((value, i) => value * (two[i] ?? 0));
    expect(Math.abs(kept(both) - 0.25)).toBeLessThan(0.004);
    // And neighbours are.
    const neighbours = one.slice(1).map((value, i) => value * (one[i] ?? 0));
    expect(Math.abs(kept(neighbours) - 0.25)).toBeLessThan(0.004);
  });
});
