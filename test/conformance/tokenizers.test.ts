/** Tokens of awkward texts by small tokenizers of every kind, against transformers' (make-tokenizers.py). `npm run compare -- tokenizers` takes 10,000. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { folderTokenizer } from "../../src/data/text/tokenizer/folder-tokenizer.js";
import { readTokenizerFiles } from "../../src/data/text/tokenizer/tokenizer-files.js";

const FOLDER = join(import.meta.dirname, "tokenizers");
const texts = z.array(z.string()).parse(JSON.parse(readFileSync(join(FOLDER, "texts.json"), "utf8")));
const expectedSchema = z.object({
  singles: z.array(z.string()),
  pairs: z.array(z.object({ first: z.number(), pair: z.boolean(), most: z.number().nullable(), digest: z.string() })),
});

const digest = (values: string): string => createHash("sha256").update(values).digest("hex").slice(0, 12);

const kinds = readdirSync(FOLDER, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

test("all kinds are there", () => {
  expect(kinds.toSorted()).toEqual([
    "bpe",
    "byte-level",
    "unigram",
    "unigram-first",
    "wordpiece",
    "wordpiece-cased",
    "wordpiece-vocab",
  ]);
  expect(texts.length).toBeGreaterThan(300);
});

test.each(kinds)("%s: tokens, segments and what is cut are transformers'", async (kind) => {
  const folder = join(FOLDER, kind);
  const expected = expectedSchema.parse(JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")));
  const { encode } = folderTokenizer(await readTokenizerFiles(folder), "");
  const different = texts.filter(
    (text, index) => digest(encode(text, undefined, Number.POSITIVE_INFINITY).ids.join()) !== expected.singles[index],
  );
  expect(different).toEqual([]);
  const differentPairs = expected.pairs.filter(({ first, pair, most, digest: wanted }) => {
    const second = pair ? (texts[first + 1] ?? "") : undefined;
    const { ids, segments } = encode(texts[first] ?? "", second, most ?? Number.POSITIVE_INFINITY);
    return digest(`${ids.join()};${segments.join()}`) !== wanted;
  });
  expect(differentPairs).toEqual([]);
});
