import { describe, expect, it } from "vitest";
import { createRng, permutation, step } from "../../src/runtime/rng.js";

describe("xoshiro128**", () => {
  it("continues as the published C code", () => {
    // What the C code prints from state 1, 2, 3, 4.
    const state = Uint32Array.of(1, 2, 3, 4);
    expect([step(state), step(state), step(state), step(state)]).toEqual([11520, 0, 5927040, 70819200]);
  });
});

describe("createRng", () => {
  const first = (...keys: (number | string)[]) => createRng(...keys).nextUint32();

  it("is fixed by its keys", () => {
    const numbers = (...keys: (number | string)[]) => {
      const rng = createRng(...keys);
      return Array.from({ length: 5 }, () => rng.nextUint32());
    };
    expect(numbers("sampler", 0)).toEqual(numbers("sampler", 0));
    // The values themselves are a promise: runs made before must stay reproducible.
    expect(numbers("sampler", 0)).toMatchInlineSnapshot(`
      [
        2529664949,
        983147918,
        2049515290,
        612627191,
        3826596111,
      ]
    `);
  });

  it("keeps keys apart", () => {
    const streams = [first(), first(1), first("1"), first(1, 0), first("ab", "c"), first("a", "bc"), first("abc")];
    expect(new Set(streams).size).toBe(streams.length);
  });

  it("refuses keys that are not finite", () => {
    expect(() => createRng(Number.NaN)).toThrow("rng key NaN is not finite");
  });

  it("draws floats, integers and normals of the right distribution", () => {
    const rng = createRng("moments");
    const count = 20_000;
    const mean = (draw: () => number) => Array.from({ length: count }, draw).reduce((sum, x) => sum + x, 0) / count;
    expect(mean(() => rng.nextFloat())).toBeCloseTo(0.5, 2);
    expect(mean(() => rng.nextFloat() ** 2)).toBeCloseTo(1 / 3, 2);
    expect(mean(() => rng.nextNormal())).toBeCloseTo(0, 1);
    expect(mean(() => rng.nextNormal() ** 2)).toBeCloseTo(1, 1);
    const histogram = new Uint32Array(6);
    for (let draw = 0; draw < count; draw++) {
      const drawn = rng.nextInt(6);
      histogram[drawn] = (histogram[drawn] ?? 0) + 1;
    }
    const expected = count / 6;
    const chiSquare = [...histogram].reduce((sum, seen) => sum + (seen - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeLessThan(20.5); // 5 degrees of freedom, p = 0.001
  });

  it("draws integers up to 2^32 and refuses other ranges", () => {
    const rng = createRng("range");
    expect(rng.nextInt(1)).toBe(0);
    expect(rng.nextInt(2 ** 32)).toBeLessThan(2 ** 32);
    for (const n of [0, -1, 1.5, 2 ** 32 + 1]) expect(() => rng.nextInt(n)).toThrow("nextInt");
  });
});

describe("permutation", () => {
  it("holds every number once", () => {
    const order = permutation(1000, createRng("order"));
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, index) => index));
    expect([...order]).not.toEqual([...permutation(1000, createRng("other"))]);
    expect(permutation(0, createRng("order"))).toEqual(new Uint32Array());
  });

  it("makes each order of 3 equally often", () => {
    const rng = createRng("orders");
    const seen = new Map<string, number>();
    for (let draw = 0; draw < 6000; draw++) {
      const order = permutation(3, rng).join("");
      seen.set(order, (seen.get(order) ?? 0) + 1);
    }
    expect(seen.size).toBe(6);
    for (const count of seen.values()) expect(Math.abs(count - 1000)).toBeLessThan(130);
  });
});
