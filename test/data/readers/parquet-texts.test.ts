/** Texts in parquet, as pyarrow writes them (parquet/make-texts.py): every type, pairs, empty texts, and what is wrong with its row and column. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type OpenDatasetOptions, openDataset } from "../../../src/data/dataset.js";
import { temporaryFolder, writeAt } from "../temporary-folder.js";

const files: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(join(import.meta.dirname, "parquet", "texts.json"), "utf8"),
);
const TEXTS = ["a good film", "", "schlecht 🦊\nsehr", "naïve"];
const root = temporaryFolder();

const put = (name: string): string => {
  const folder = name.replaceAll(/[^\w.]+/g, "-");
  writeAt(root, `${folder}/data/test-00000-of-00001.parquet`, Buffer.from(files[name] ?? "", "base64"));
  return join(root, folder);
};
const open = (path: string, more: Partial<OpenDatasetOptions> = {}) =>
  openDataset({ kind: "text", path, split: "test", where: "x", ...more });
const all = (read: ((index: number) => Promise<Uint8Array>) | undefined) =>
  Promise.all(TEXTS.map(async (_, index) => Buffer.from((await read?.(index)) ?? "none").toString()));

describe("texts in parquet", () => {
  const types = ["string", "large_string", "string_view", "binary", "dictionary", "without statistics"];
  it.each(types)("as %s", async (name) => {
    const path = put(name);
    const set = await open(path, { classes: ["bad", "good"] });
    expect(await all(set.encoded)).toEqual(TEXTS);
    expect([set.classes, [...(set.labels ?? [])], set.second]).toEqual([["bad", "good"], [1, 0, 0, 1], undefined]);
    const file = join(path, "data/test-00000-of-00001.parquet");
    expect(set.notices).toEqual([`${file}, column text: 1 empty text, kept (the first in row 1)`]);
    expect(set.locate(3)).toBe(`${file}: row 3`);
  });

  it("as pairs, or one column of them", async () => {
    const path = put("pairs");
    const set = await open(path);
    expect([await all(set.encoded), await all(set.second)]).toEqual([TEXTS, TEXTS.toReversed()]);
    expect(set.notices?.[0]).toContain(
      "the texts are pairs, of columns premise and hypothesis; to take one alone, set dataset.text_column in suite.yaml",
    );
    const one = await open(path, { parameters: { text_column: "hypothesis" } });
    expect([await all(one.encoded), one.second]).toEqual([TEXTS.toReversed(), undefined]);
    const half = { every: 2, except: false };
    const part = await open(path, { part: half });
    expect(Buffer.from((await part.second?.(1)) ?? []).toString()).toBe("");
    await expect(open(path, { parameters: { text_column: "premise", pair_column: "no" } })).rejects.toThrow(
      "expected a column no, found idx, premise, hypothesis, label",
    );
  });

  it("are not taken for lists of words, numbers or images", async () => {
    expect(await all((await open(put("tokens beside"))).encoded)).toEqual(TEXTS);
    await expect(open(put("numbers"))).rejects.toThrow(
      "expected a column of texts named text, found text, label; set dataset.text_column in suite.yaml",
    );
    const numbers = await open(put("numbers"), { parameters: { text_column: "text" } });
    await expect(numbers.encoded(0)).rejects.toThrow("row 0, column text: expected a text, found a bigint");
    await expect(open(put("string"), { kind: "image" })).rejects.toThrow("expected a column of images named image");
  });

  it("that are none are refused with their row and column", async () => {
    const nulls = await open(put("null"));
    await expect(nulls.encoded(3)).rejects.toThrow(
      "test-00000-of-00001.parquet: row 3, column text: expected a text, found none (null); remove the row",
    );
    expect(Buffer.from(await nulls.encoded(2)).toString()).toBe(TEXTS[2]);
    const foreign = await open(put("not UTF-8"));
    await expect(foreign.encoded(1)).rejects.toThrow(
      "row 1, column text: expected a text in UTF-8, found the bytes e9 21 at byte 3",
    );
  });
});
