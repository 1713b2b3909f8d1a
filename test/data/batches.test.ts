/** Batches of examples that differ in length: each example once, each batch of one length. */
import { describe, expect, it } from "vitest";
import { commonLength, exampleBatches, examplePlaces } from "../../src/data/batches.js";
import type { ExampleStore } from "../../src/data/examples.js";

const LENGTHS = [4, 8, 16];

/** Example n is n again and again, as long as it is asked for. */
function store(lengths: readonly number[]): ExampleStore {
  return {
    ...{ name: "texts", size: lengths.length, lengths: Int32Array.from(lengths) },
    gather: (indices, length = 1) =>
      new Map([
        [
          "ids",
          Int32Array.from({ length: indices.length * length }, (_, at) => indices[Math.floor(at / length)] ?? -1),
        ],
      ]),
  };
}

describe("batches of examples with lengths", () => {
  // 40 is cut to the longest.
  const texts = store([3, 9, 4, 5, 1, 40, 8, 2]);

  it("go through each length in order, the shortest first", () => {
    const found = [...examplePlaces(texts, 3, { lengths: LENGTHS })];
    expect(found.map(({ indices, length }) => [length, ...indices])).toEqual([
      [4, 0, 2, 4],
      [4, 7],
      [8, 3, 6],
      [16, 1, 5],
    ]);
    const limited = [...examplePlaces(texts, 3, { lengths: LENGTHS, limit: 3 })];
    expect(limited.map(({ indices }) => [...indices])).toEqual([[0, 2], [1]]);
  });

  it("are filled up with their last example, padded alike", () => {
    const [, second, third] = [...exampleBatches(texts, 3, { lengths: LENGTHS })];
    expect([...(second?.inputs.get("ids") ?? [])]).toEqual(new Array(12).fill(7));
    expect([...(third?.inputs.get("ids") ?? [])]).toEqual([...new Array(8).fill(3), ...new Array(16).fill(6)]);
  });

  it("without lengths of their own need the longest", () => {
    const { lengths: _, ...unknown } = texts;
    expect(commonLength(LENGTHS, [{ store: unknown, indices: Uint32Array.of(0) }])).toBe(16);
    expect(commonLength(LENGTHS, [{ store: texts, indices: Uint32Array.of(0, 6) }])).toBe(8);
  });

  it("leave a model without lengths alone", () => {
    const [first] = [...exampleBatches(texts, 5)];
    expect(first).toEqual({
      indices: Uint32Array.of(0, 1, 2, 3, 4),
      inputs: new Map([["ids", Int32Array.of(0, 1, 2, 3, 4)]]),
    });
  });
});
