/**
 * Examples in chunks: as many as are asked, in their order, pairs apart from single texts, and those that cannot be
 * read apart from the others.
 */
import { expect, it } from "vitest";
import type { Encoder } from "../../../src/data/encoder.js";
import type { GivenExample } from "../../../src/data/readers/given-examples.js";
import { CheckpointError, DataError } from "../../../src/errors.js";
import { exampleChunks } from "../../../src/run/predict/example-chunks.js";

/** Refuses texts with an x. */
const encoder = (opened: (string | undefined)[][] = []): Encoder => ({
  kind: "text",
  open: async (dataset) => {
    const texts: string[] = [];
    for (let index = 0; index < dataset.size; index++) {
      const text = Buffer.from(await dataset.encoded(index)).toString();
      if (text.includes("x")) throw new DataError(`${dataset.locate(index)}: expected no x`);
      if (text.includes("!")) throw new CheckpointError("the model's own file is gone");
      texts.push(text);
    }
    opened.push([...texts, dataset.second && Buffer.from(await dataset.second(0)).toString()]);
    return { kind: "text", name: "", size: texts.length, gather: () => new Map() };
  },
});

async function* given(...texts: readonly (string | readonly [string, string])[]): AsyncGenerator<GivenExample> {
  for (const [index, text] of texts.entries()) {
    const [first = "", second] = typeof text === "string" ? [text] : text;
    yield {
      source: String(index),
      encoded: async () => Buffer.from(first),
      ...(second === undefined ? {} : { second: async () => Buffer.from(second) }),
    };
  }
}

async function chunksOf(examples: AsyncGenerator<GivenExample>, own = encoder(), sizes = { first: 2, most: 4 }) {
  const options = { ...sizes, maxLength: undefined, onCut: () => {}, signal: undefined };
  const chunks = [];
  for await (const chunk of exampleChunks(examples, own, options)) chunks.push(chunk);
  return chunks;
}

it("grow to the most and keep the order", async () => {
  const chunks = await chunksOf(given(..."abcdefghijklm"));
  expect(chunks.map(({ sources }) => sources.join())).toEqual(["0,1", "2,3,4,5", "6,7,8,9", "10,11,12"]);
  expect(chunks.map(({ store, failures }) => [store?.size, failures.size])).toEqual([
    ...[
      [2, 0],
      [4, 0],
      [4, 0],
      [3, 0],
    ],
  ]);
  expect(await chunksOf(given())).toEqual([]);
});

it("are of pairs or of single texts", async () => {
  const opened: (string | undefined)[][] = [];
  const chunks = await chunksOf(given("a", ["b", "B"], ["c", "C"], ["d", "D"], "e"), encoder(opened));
  expect(chunks.map(({ sources }) => sources.join())).toEqual(["0", "1,2", "3", "4"]);
  expect(opened).toEqual([
    ["a", undefined],
    ["b", "c", "B"],
    ["d", "D"],
    ["e", undefined],
  ]);
});

it("say which examples cannot be read, and have the others", async () => {
  const [chunk, all] = await chunksOf(given("a", "x", "b", "xx", "x", "x"), encoder(), { first: 4, most: 4 });
  expect(chunk?.places).toEqual([0, 2]);
  expect(chunk?.store?.size).toBe(2);
  expect([...(chunk?.failures ?? [])].map(([place, { message }]) => [place, message])).toEqual([
    [1, "1: expected no x"],
    [3, "3: expected no x"],
  ]);
  expect(all).toMatchObject({ store: undefined, places: [], sources: ["4", "5"] });
  expect(all?.failures.size).toBe(2);
});

it("throw what is no fault of an example", async () => {
  await expect(chunksOf(given("a", "b", "c!"))).rejects.toThrow("the model's own file is gone");
});
