/** A search over scales finds singular vectors once, and the numbers of a merge by itself. */
import { expect, it } from "vitest";
import { createKeptChanges } from "../../src/merge/methods/kept-changes.js";
import { memorySource, mergeAll } from "../support/merge-source.js";
import { randomArray } from "../support/random.js";

const tensors = [
  { name: "a.weight", shape: [6, 4] },
  { name: "a.bias", shape: [6] },
  { name: "b.weight", shape: [4, 6] },
];
const [base, ...taus] = [1, 2, 3].map((seed) => randomArray(54, seed));

it.each(["tsv_m", "iso_c"])("%s at several scales", async (method) => {
  const source = memorySource(tensors, base ?? new Float32Array(), taus);
  const plain = { source, seed: 0, pieceElements: 54 };
  const changes = createKeptChanges();
  let computed = 0;
  const counted = {
    ...plain,
    changes: {
      changeOf: (tensor: string, compute: () => Float32Array) =>
        changes.changeOf(tensor, () => {
          computed++;
          return compute();
        }),
    },
  };
  for (const scale of [0.3, 1, 1.7])
    expect(await mergeAll(method, { scale }, counted)).toEqual(await mergeAll(method, { scale }, plain));
  expect(computed).toBe(2);
});

it("what does not fit is computed again", () => {
  const changes = createKeptChanges(16);
  let computed = 0;
  const ask = (tensor: string, size: number) =>
    changes.changeOf(tensor, () => {
      computed++;
      return new Float32Array(size);
    });
  for (let turn = 0; turn < 3; turn++)
    for (const [tensor, size] of [
      ["big", 5],
      ["small", 3],
      ["tiny", 1],
    ] as const)
      ask(tensor, size);
  expect(computed).toBe(3 + 1 + 1);
});
