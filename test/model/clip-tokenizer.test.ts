/** Regular expressions of strangers in a tokenizer.json: those that take for ever are given up, those that take all memory are not compiled. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { CheckpointError } from "../../src/errors.js";
import { openClipTokenizer } from "../../src/model/clip/tokenizer.js";

const CLIP = join(import.meta.dirname, "..", "conformance", "clip");
const root = mkdtempSync(join(tmpdir(), "adamerge-tokenizer-"));
afterAll(() => rmSync(root, { recursive: true }));

/** CLIP's tokenizer with another expression that splits words. */
function withExpression(expression: string): string {
  const folder = mkdtempSync(join(root, "t-"));
  cpSync(CLIP, folder, { recursive: true });
  const path = join(folder, "tokenizer.json");
  const json = JSON.parse(readFileSync(path, "utf8"));
  const split = { type: "Split", pattern: { Regex: expression }, behavior: "Removed", invert: true };
  const pre_tokenizer = { type: "Sequence", pretokenizers: [split, { type: "ByteLevel", add_prefix_space: false }] };
  writeFileSync(path, JSON.stringify({ ...json, pre_tokenizer }));
  return folder;
}

test("an expression that backtracks for ever is given up, and the next tokenizer is read", async () => {
  const folder = withExpression("(\\w+\\s?)+$");
  const tokenizer = await openClipTokenizer(folder, 77);
  const failure = await tokenizer.encode([`${"a".repeat(60)}!`]).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(CheckpointError);
  expect(String(failure)).toContain(
    `${join(folder, "tokenizer.json")} (or vocab.json and merges.txt): expected the tokenizer of a CLIP model, found no end after 5 s of work, perhaps in a regular expression made to hang`,
  );
  const [ids] = await (await openClipTokenizer(CLIP, 77)).encode(["a photo"]);
  expect(ids?.length).toBeGreaterThan(2);
});

test.each(["((a?){1000}){1000}b", "a{1001}", `(?:${"a|".repeat(1500)}b)`])(
  "the expression %.20s... is not compiled",
  async (expression) => {
    await expect(openClipTokenizer(withExpression(expression), 77)).rejects.toThrow(
      /tokenizer\.json: expected regular expressions of at most 2000 letters and 1000 counted repetitions, found "/,
    );
  },
);

test("one that is nested a hundred thousand times is refused", async () => {
  const folder = withExpression("a");
  writeFileSync(join(folder, "tokenizer.json"), `{"normalizer": ${"[".repeat(100_000)}${"]".repeat(100_000)}}`);
  await expect(openClipTokenizer(folder, 77)).rejects.toThrow("more than 200 levels deep");
});
