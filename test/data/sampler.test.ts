import { describe, expect, it } from "vitest";
import { batchIndices, drawnIndices } from "../../src/data/sampler.js";
import { DataError } from "../../src/errors.js";

const walk = (batches: number, batchSize: number, size: number, rest = { seed: 0, task: "mnist" }) =>
  Array.from({ length: batches }, (_, step) => [...batchIndices({ ...rest, step, batchSize, size })]);

describe("batchIndices", () => {
  it("goes through every image once per epoch, also where batches cross its end", () => {
    const flat = walk(10, 7, 10).flat();
    for (let epoch = 0; epoch < 7; epoch++) {
      const images = flat.slice(epoch * 10, (epoch + 1) * 10);
      expect(new Set(images).size).toBe(10);
    }
    expect(flat.slice(0, 10)).not.toEqual(flat.slice(10, 20));
  });

  it("is the same walk whatever the batch size, also when that exceeds the split", () => {
    const reference = walk(60, 1, 5).flat();
    for (const batchSize of [3, 5, 12, 60]) expect(walk(60 / batchSize, batchSize, 5).flat()).toEqual(reference);
  });

  it("is a pure function: order of calls and other tasks do not matter", () => {
    const forwards = walk(200, 4, 9);
    const place = { seed: 0, task: "mnist", batchSize: 4, size: 9 };
    for (let step = 199; step >= 0; step--) {
      batchIndices({ ...place, task: `other-${step}`, step });
      expect([...batchIndices({ ...place, step })]).toEqual(forwards[step]);
    }
  });

  it("differs by seed and by task", () => {
    const base = walk(1, 50, 50);
    expect(walk(1, 50, 50, { seed: 1, task: "mnist" })).not.toEqual(base);
    expect(walk(1, 50, 50, { seed: 0, task: "svhn" })).not.toEqual(base);
  });

  it("stays the walk of earlier versions", () => {
    expect(walk(2, 6, 10)).toMatchInlineSnapshot(`
      [
        [
          4,
          0,
          2,
          7,
          3,
          9,
        ],
        [
          6,
          8,
          1,
          5,
          0,
          8,
        ],
      ]
    `);
  });

  it("reaches far steps at once", () => {
    const far = batchIndices({ seed: 0, task: "mnist", step: 1e9, batchSize: 16, size: 1000 });
    expect(new Set(far).size).toBe(16);
  });

  it("refuses an empty split", () => {
    const empty = { seed: 0, task: "mnist", step: 0, batchSize: 4, size: 0 };
    expect(() => batchIndices(empty)).toThrow(DataError);
    expect(() => batchIndices(empty)).toThrow("task mnist: expected at least 1 example");
    expect(() => batchIndices({ ...empty, step: -1, size: 4 })).toThrow("batch number");
    expect(() => batchIndices({ ...empty, batchSize: 0, size: 4 })).toThrow("batch size");
  });
});

describe("drawnIndices", () => {
  it("draws without repetition, ascending, the same for a seed and others for another, and never more than there are", () => {
    const place = { seed: 1, task: "mnist" };
    const drawn = [...drawnIndices(1000, 100, place)];
    expect(new Set(drawn).size).toBe(100);
    expect(drawn).toEqual(drawn.toSorted((a, b) => a - b));
    expect(drawn.at(-1)).toBeGreaterThan(800);
    expect([...drawnIndices(1000, 100, place)]).toEqual(drawn);
    expect([...drawnIndices(1000, 100, { ...place, seed: 2 })]).not.toEqual(drawn);
    expect([...drawnIndices(3, 100, place)]).toEqual([0, 1, 2]);
  });
});
