import { describe, expect, it } from "vitest";
import { tiesProcessing } from "../../src/merge/task-vector-processing.js";

interface Model {
  /** Per tensor the K task vectors. */
  readonly tensors: readonly Float32Array[][];
}

/** mulberry32: the test must be the same on every machine. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function process(model: Model, density: number): Promise<Float32Array[][]> {
  const tensors = model.tensors.map((rows) => rows.map((row) => row.slice()));
  const prepared = await tiesProcessing({ density }).prepare(async function* () {
    for (const [i, rows] of model.tensors.entries()) {
      const taskVectors = rows.map((row) => row.slice());
      yield { name: `t${i}`, shape: [taskVectors[0]?.length ?? 0], taskVectors };
    }
  });
  for (const [i, rows] of tensors.entries()) prepared(`t${i}`, rows, [rows[0]?.length ?? 0]);
  return tensors;
}

/** The official code, line by line, on the whole flattened model: kthvalue by sorting. Returns [K][D]. */
function bruteForce(flat: readonly number[][], density: number): number[][] {
  const trimmed = flat.map((row) => {
    const k = row.length - Math.floor(row.length * density);
    const sorted = row.map(Math.abs).toSorted((a, b) => a - b);
    const threshold = k < 1 ? 0 : (sorted[k - 1] ?? 0);
    return row.map((value) => (Math.abs(value) >= threshold ? value : 0));
  });
  const size = flat[0]?.length ?? 0;
  const sums = Array.from({ length: size }, (_, i) => trimmed.reduce((sum, row) => sum + (row[i] ?? 0), 0));
  const signs = sums.map(Math.sign);
  const majority = Math.sign(signs.reduce((sum, sign) => sum + sign, 0));
  const elected = signs.map((sign) => (sign === 0 ? majority : sign));
  return trimmed.map((row) => row.map((value, i) => ((elected[i] ?? 0) > 0 ? Math.max(value, 0) : Math.min(value, 0))));
}

function flatten(tensors: readonly Float32Array[][]): number[][] {
  const tasks = tensors[0]?.length ?? 0;
  return Array.from({ length: tasks }, (_, k) => tensors.flatMap((rows) => [...(rows[k] ?? [])]));
}

function makeModel(
  seed: number,
  tasks: number,
  sizes: readonly number[],
  value: (next: () => number) => number,
): Model {
  const next = random(seed);
  return {
    tensors: sizes.map((size) =>
      Array.from({ length: tasks }, () => Float32Array.from({ length: size }, () => value(next))),
    ),
  };
}

const VALUES = new Map<string, (next: () => number) => number>([
  ["continuous", (next) => (next() - 0.5) * 10 ** (-6 * next())],
  ["with many ties", (next) => Math.floor(next() * 7) - 3],
  ["mostly zero", (next) => (next() < 0.9 ? 0 : next() - 0.6)],
  ["with denormals", (next) => (next() - 0.5) * 1e-43],
  ["cancelling", (next) => (next() < 0.5 ? 1 : -1)],
]);

describe("tiesProcessing equals the official code on a sorted model", () => {
  for (const [name, value] of VALUES) {
    it.each([0.2, 0.5, 0.001, 0.999, 1])(`${name}, density %s`, async (density) => {
      for (let seed = 0; seed < 6; seed++) {
        const model = makeModel(seed, 1 + (seed % 4), [101, 1, 0, 640], value);
        const found = flatten(await process(model, density));
        const expected = bruteForce(flatten(model.tensors), density);
        // `+ 0` makes -0 and 0 equal: both are no change.
        expect(found.map((row) => row.map((x) => x + 0))).toEqual(expected.map((row) => row.map((x) => x + 0)));
      }
    });
  }
});

describe("tiesProcessing", () => {
  it("trims over the whole model, not per tensor", async () => {
    const model = { tensors: [[Float32Array.of(1, 2, 3, 4)], [Float32Array.of(10, 20, 30, 40)]] };
    // D = 8, k = 8 - floor(8 * 0.25) = 6: the 6th smallest is 20, kept with all that is not smaller.
    expect((await process(model, 0.25)).flat().map((row) => [...row])).toEqual([
      [0, 0, 0, 0],
      [0, 20, 30, 40],
    ]);
  });

  it("keeps all that equal the threshold", async () => {
    const found = await process({ tensors: [[Float32Array.of(1, -2, 2, -2, 2)]] }, 0.2);
    expect([...(found[0]?.[0] ?? [])]).toEqual([0, -2, 2, -2, 2]);
  });

  it("keeps K vectors, with what disagrees with the elected sign set to 0", async () => {
    const model = {
      tensors: [[Float32Array.of(5, -1, 2, 4), Float32Array.of(-3, -2, -2, 4), Float32Array.of(1, 3.5, 0, 4)]],
    };
    // Sums 3, 0.5, 0, 12: the tie takes the majority, which is positive.
    expect((await process(model, 1)).flat().map((row) => [...row])).toEqual([
      [5, 0, 2, 4],
      [0, 0, 0, 4],
      [1, 3.5, 0, 4],
    ]);
  });

  it("names its parameters and refuses wrong ones", () => {
    expect(tiesProcessing().id).toBe("ties:density=0.2");
    for (const density of [0, -1, 1.1, Number.NaN]) {
      expect(() => tiesProcessing({ density })).toThrow(/density: expected a number above 0 and at most 1, found/);
    }
  });
});
