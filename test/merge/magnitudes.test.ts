import { describe, expect, it } from "vitest";
import { keepBetween, magnitudesOfRanks } from "../../src/merge/magnitudes.js";
import { createRng } from "../../src/runtime/rng.js";

/** By sorting: the element at each place, by magnitude, equal ones in the order of their indices. */
function sorted(values: Float32Array): number[] {
  return [...values.keys()].sort((a, b) => Math.abs(values[a] ?? 0) - Math.abs(values[b] ?? 0) || a - b);
}

/** Few different values, so that most borders fall among equal ones. */
function values(size: number, different: number): Float32Array {
  const rng = createRng(3, "magnitudes", size, different);
  return Float32Array.from({ length: size }, () => (rng.nextUint32() % different) / 7 - different / 14);
}

describe("the elements between two ranks by magnitude", () => {
  it.each([
    [40, 3, 10, 30],
    [40, 3, 0, 41],
    [40, 1000, 7, 8],
    [40, 3, 20, 21],
    [257, 5, 256, 257],
    [1, 1, 0, 2],
    [64, 2, 31, 33],
  ])("are those that sorting finds: %i values of %i, ranks %i and %i", (size, different, below, above) => {
    const valuesN = values(size, different);
    const expected = valuesN.slice();
    for (const [place, index] of sorted(valuesN).entries())
      if (place + 1 <= below || place + 1 >= above) expected[index] = 0;
    const kept = valuesN.slice();
    keepBetween(kept, ...magnitudesOfRanks(kept, below, above));
    expect(kept).toEqual(expected);
  });
});
