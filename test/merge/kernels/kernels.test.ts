/** The kernels against the same written out per element, for few and for many models and lengths that are no multiple of a vector. */
import { beforeEach, describe, expect, it } from "vitest";
import { bytesInMemory, clearBehind } from "../../../src/merge/kernels/kernel-memory.js";
import { loadKernels } from "../../../src/merge/kernels/kernels.js";
import { keepAtRandom } from "../../../src/merge/per-tensor/random-elements.js";
import { randomArray } from "../../support/random.js";

const kernels = loadKernels(1 << 24);
const { memory } = kernels;
beforeEach(memory.release);

function placed(values: ArrayLike<number>): Float32Array {
  const own = memory.floats(values.length);
  own.set(values);
  return own;
}

describe.each([1, 2, 3, 4, 5, 9])("%i models", (count) => {
  const SIZE = 1003;
  const models = Array.from({ length: count }, (_, model) =>
    // Zeros among them, as trimming leaves them.
    randomArray(SIZE, model + 1, -1, 1).map((value, i) => ((i + model) % 3 === 0 ? 0 : value)),
  );
  const weightsM = models.map((_, model) => (model === 1 ? -0.4 : 0.3 + 0.1 * model));

  it("sums in float64", () => {
    const expected = Float32Array.from({ length: SIZE }, (_, i) =>
      models.reduce((sum, values, model) => sum + (weightsM[model] ?? 0) * (values[i] ?? 0), 0),
    );
    const sum = kernels.weightedSum(weightsM);
    for (let turn = 0; turn < 2; turn++) {
      const own = models.map(placed);
      // In the place of one of them.
      const merged = own.at(-1) ?? new Float32Array();
      sum(own, merged);
      expect(merged).toEqual(expected);
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
    const found = placed(base);
    kernels.agreedSum({ weightsM, sharesM, normalize, lambda: 1.5 })(models.map(placed), found);
    expect(found).toEqual(expected);
  });
});

it.each([1, 4, 7, 1000])("differences, sums of magnitudes and of products of %i elements", (size) => {
  const [a, b] = [randomArray(size, 1, -1, 1), randomArray(size, 2, -1, 1)];
  const [ownA, ownB] = [placed(a), placed(b)];
  const sum = (of: (i: number) => number): number => Array.from(a.keys()).reduce((total, i) => total + of(i), 0);
  expect(kernels.absoluteSum(ownA)).toBeCloseTo(
    sum((i) => Math.abs(a[i] ?? 0)),
    9,
  );
  expect(kernels.dotProduct(ownA, ownB)).toBeCloseTo(
    sum((i) => (a[i] ?? 0) * (b[i] ?? 0)),
    9,
  );
  kernels.subtract(ownA, ownB);
  expect(ownA).toEqual(a.map((value, i) => value - (b[i] ?? 0)));
});

it("a shortened array takes only its own elements into account", () => {
  const values = placed([1, 2, 3, 4, 5]);
  clearBehind(values, 2);
  expect(kernels.absoluteSum(values.subarray(0, 2))).toBe(3);
  expect(Array.from(values)).toEqual([1, 2, 0, 0, 5]);
});

it("refuses arrays of another memory, and more arrays than it has room for", () => {
  expect(() => kernels.areFinite(new Float32Array(4))).toThrow(/array of another memory/);
  const small = loadKernels(bytesInMemory(60_000)).memory;
  expect(small.floats(15_000).length).toBe(15_000);
  expect(() => small.floats(15_000)).toThrow(/too small/);
  small.release();
  expect(small.floats(15_000).every((value) => value === 0)).toBe(true);
});

describe("keeping at random", () => {
  const SIZE = 1 << 18;
  /** Whether each element is kept, in pieces of `length`, near where the lower word of the index overflows. */
  const kept = (key: number, density: number, length = SIZE): Float32Array => {
    const found = new Float32Array(SIZE);
    for (let from = 0; from < SIZE; from += length) {
      memory.release();
      const piece = memory.floats(Math.min(length, SIZE - from)).fill(1);
      keepAtRandom(kernels, piece, key, 2 ** 32 - 1000 + from, density);
      found.set(piece, from);
    }
    return found;
  };
  const share = (values: Float32Array) => values.reduce((a, b) => a + b, 0) / values.length;

  it.each([0.1, 0.5, 0.9])("keeps a share of %d, whatever the pieces", (density) => {
    const whole = kept(1, density);
    expect(Math.abs(share(whole) - density)).toBeLessThan(4 * Math.sqrt((density * (1 - density)) / SIZE));
    expect(kept(1, density, 776)).toEqual(whole);
  });

  it("keeps nothing and everything", () => {
    expect(share(kept(1, 0))).toBe(0);
    expect(share(kept(1, 1))).toBe(1);
  });

  it("is independent for another key, and for neighbours", () => {
    const [one, two] = [kept(1, 0.5), kept(2, 0.5)];
    // Both keep a quarter.
    expect(Math.abs(share(one.map((value, i) => value * (two[i] ?? 0))) - 0.25)).toBeLessThan(0.004);
    expect(Math.abs(share(one.slice(1).map((value, i) => value * (one[i] ?? 0))) - 0.25)).toBeLessThan(0.004);
  });

  it("is MurmurHash3's finaliser over multiples of the golden ratio", () => {
    const mix = (value: number): number => {
      let h = value | 0;
      h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
      h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
      return (h ^ (h >>> 16)) >>> 0;
    };
    const found = placed(new Float32Array(5000).fill(1));
    keepAtRandom(kernels, found, 77, 4096, 0.3);
    const start = mix(77);
    expect(found).toEqual(found.map((_, i) => Number(mix(start + Math.imul(4096 + i, 0x9e3779b9)) < 0.3 * 2 ** 32)));
  });
});
