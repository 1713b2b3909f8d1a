/** Texts as examples: what a batch holds, what the cache keeps and notices, what is refused. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EncodeOptions } from "../../../src/data/encoder.js";
import { isLabelled } from "../../../src/data/examples.js";
import type { Dataset } from "../../../src/data/readers/dataset-reader.js";
import { textEncoder } from "../../../src/data/text/text-encoder.js";
import { openTextTokenizer, type TextTokenizer } from "../../../src/data/text/text-tokenizer.js";

const TOKENIZERS = join(import.meta.dirname, "..", "..", "conformance", "tokenizers");
const root = mkdtempSync(join(tmpdir(), "adamerge-texts-"));
afterAll(() => rmSync(root, { recursive: true }));

let tokenizer: TextTokenizer;
beforeAll(async () => {
  tokenizer = await openTextTokenizer(join(TOKENIZERS, "wordpiece"));
});

const LONG = "the code of a class is read ".repeat(20);
const bytes = (text: string) => new TextEncoder().encode(text);

function texts(values: readonly (string | Uint8Array)[], seconds?: readonly string[]): Dataset {
  const at = (index: number) => values[index] ?? "";
  return {
    name: "reviews",
    kind: "text",
    split: "test",
    size: values.length,
    labels: Int32Array.from(values, (_, index) => index % 2),
    classes: ["bad", "good"],
    encoded: async (index) => {
      const value = at(index);
      return typeof value === "string" ? bytes(value) : value;
    },
    ...(seconds === undefined ? {} : { second: async (index: number) => bytes(seconds[index] ?? "") }),
    locate: (index) => `reviews.csv:${index + 2}`,
  };
}

const model = (changed = {}) => ({
  tokenizer,
  lengths: [16, 32],
  vocabularySize: 600,
  vocabularySource: "config.json",
  hasSegments: true,
  ...changed,
});
const open = (dataset: Dataset, options: EncodeOptions = {}, changed = {}) =>
  textEncoder(model(changed)).open(dataset, options);

describe.each(["memory", "cache"])("in %s", (place) => {
  const cacheDir = place === "cache" ? join(root, "plain") : undefined;

  it("a batch is padded on the right to the length that is asked", async () => {
    const store = await open(texts(["the class", "", "a"]), { cacheDir });
    expect(isLabelled(store)).toBe(true);
    const [first = 0, empty = 0] = store.lengths ?? [];
    expect(empty).toBe(2);
    const values = store.gather(Uint32Array.of(1, 0), 16);
    expect([...values.keys()]).toEqual(["input_ids", "attention_mask", "token_type_ids"]);
    // [CLS] is 2, [SEP] 3, [PAD] 0.
    expect([...(values.get("input_ids") ?? [])].slice(0, 17)).toEqual([2, 3, ...Array(14).fill(0), 2]);
    const mask = [...(values.get("attention_mask") ?? [])];
    expect(mask.slice(0, 16)).toEqual([1, 1, ...Array(14).fill(0)]);
    expect(mask.slice(16)).toEqual([...Array(first).fill(1), ...Array(16 - first).fill(0)]);
    expect(values.get("input_ids")).toBeInstanceOf(Int32Array);
    expect(store.gather(Uint32Array.of(0)).get("input_ids")?.length).toBe(16);
  });

  it("the second of a pair is another segment", async () => {
    const store = await open(texts(["a"], ["the class"]), { cacheDir });
    const values = store.gather(Uint32Array.of(0), 16);
    const segments = [...(values.get("token_type_ids") ?? [])];
    const ids = [...(values.get("input_ids") ?? [])];
    expect(segments[ids.indexOf(3)]).toBe(0);
    expect(segments[ids.indexOf(3) + 1]).toBe(1);
    expect((await open(texts(["a"], ["b"]), { cacheDir }, { hasSegments: false })).gather(Uint32Array.of(0)).size).toBe(
      2,
    );
  });

  it("a text that is too long is cut and counted, also where it comes from the cache", async () => {
    for (const _ of [1, 2]) {
      const notices: string[] = [];
      const store = await open(texts(["a", LONG, `${LONG} a`]), { cacheDir, notice: (text) => notices.push(text) });
      expect([...(store.lengths ?? [])].slice(1)).toEqual([32, 32]);
      expect(store.gather(Uint32Array.of(1), 32).get("input_ids")?.at(-1)).toBe(3);
      expect(notices).toEqual([
        expect.stringMatching(/^reviews, split test: cut 2 of 3 texts after 32 tokens; the longest has \d{3}$/),
      ]);
    }
    const shorter = await open(texts([LONG]), { cacheDir, maxLength: 8 });
    expect([...(shorter.lengths ?? [])]).toEqual([8]);
  });
});

describe("the cache", () => {
  const cacheDir = join(root, "kept");
  const files = () => readdirSync(join(cacheDir, "tokens"));

  it("keeps tokens once, and others for other texts, lengths and corruptions", async () => {
    const keys = new Set<string | undefined>();
    const options = [{}, {}, { maxLength: 8 }, { corruption: { name: "typos", severity: 5, seed: 0 } }];
    for (const each of options) keys.add((await open(texts([LONG, "a"]), { cacheDir, ...each })).fingerprint);
    keys.add((await open(texts([LONG, "b"]), { cacheDir })).fingerprint);
    expect(keys.size).toBe(4);
    expect(files().length).toBe(4);
  });

  it("makes a damaged file anew", async () => {
    const dataset = texts(["the class", "a"]);
    const { fingerprint } = await open(dataset, { cacheDir });
    const path = join(cacheDir, "tokens", `${fingerprint}.tokens`);
    const whole = readFileSync(path);
    writeFileSync(
      path,
      whole.map((byte, index) => (index === 0 ? byte ^ 1 : byte)),
    );
    const store = await open(dataset, { cacheDir });
    expect(readFileSync(path)).toEqual(whole);
    expect(store.gather(Uint32Array.of(0)).get("input_ids")?.[0]).toBe(2);
  });

  it("gives way to newer splits", async () => {
    await open(texts(["something else"]), { cacheDir, cacheBytes: 1 });
    expect(files().length).toBe(1);
  });
});

it("a corruption changes what is tokenized, and that of images is refused", async () => {
  const plain = await open(texts([LONG]));
  const corrupted = await open(texts([LONG]), { corruption: { name: "swapped_words", severity: 5, seed: 0 } });
  const ids = (store: typeof plain) => store.gather(Uint32Array.of(0), 32).get("input_ids")?.join();
  expect(ids(corrupted)).not.toBe(ids(plain));
  await expect(open(texts(["a"]), { corruption: { name: "contrast", severity: 1, seed: 0 } })).rejects.toThrow(
    "data.corruption: expected one of texts (typos, dropped_words, swapped_words) or none, found contrast",
  );
});

it("bytes that are not UTF-8 are refused with their place", async () => {
  const bad = Uint8Array.of(0x61, 0xc3, 0xa9, 0xff, 0x62);
  await expect(open(texts(["a", bad]))).rejects.toThrow(
    "reviews.csv:3: expected text in UTF-8, found byte 0xff at 3, which begins no character; store the text as UTF-8",
  );
});

it("a token that the model does not know is refused with the files of both", async () => {
  await expect(open(texts(["a", "the class"]), {}, { vocabularySize: 4 })).rejects.toThrow(
    /^reviews\.csv:2: expected tokens below the model's vocab_size 4 \(config\.json\), found \d+ from .*tokenizer\.json; take/,
  );
});

describe("a folder's tokenizer", () => {
  it.each([
    ["spiece.model", "found spiece.model alone, which only sentencepiece reads; write it there with transformers"],
    ["vocab.json", "expected tokenizer.json, vocab.txt, or vocab.json and merges.txt, found none of them, though"],
    ["config.json", "expected tokenizer.json, vocab.txt, or vocab.json and merges.txt, found none of them; copy"],
  ])("with %s alone is refused", async (name, message) => {
    const folder = mkdtempSync(join(root, "folder-"));
    writeFileSync(join(folder, name), "{}");
    await expect(openTextTokenizer(folder)).rejects.toThrow(message);
  });

  it.each([
    [
      { model: { type: "WordLevel" } },
      'expected a model of the types BPE, Unigram, WordPiece, found "WordLevel"; take',
    ],
    [{ normalizer: { type: "Magic" } }, "expected a normalizer of the types BertNormalizer, Lowercase"],
    [{ model: { type: "WordPiece", vocab: { a: -1 }, unk_token: "a" } }, 'expected another value of "model.vocab.a"'],
    [{ model: { type: "WordPiece", vocab: { a: 1 }, unk_token: "b" } }, 'expected the unknown token "b" in the vocab'],
    [{ model: { type: "BPE", vocab: {}, merges: [], dropout: 0.1 } }, "expected BPE without dropout"],
  ])("that is %j is refused", async (changed, message) => {
    const folder = mkdtempSync(join(root, "folder-"));
    const json = JSON.parse(readFileSync(join(TOKENIZERS, "wordpiece", "tokenizer.json"), "utf8"));
    writeFileSync(join(folder, "tokenizer.json"), JSON.stringify({ ...json, ...changed }));
    await expect(openTextTokenizer(folder)).rejects.toThrow(message);
  });

  it("of an old RoBERTa, vocab.json and merges.txt, gives what its tokenizer.json does", async () => {
    const folder = mkdtempSync(join(root, "folder-"));
    const from = join(TOKENIZERS, "byte-level");
    const { model: bpe } = JSON.parse(readFileSync(join(from, "tokenizer.json"), "utf8"));
    writeFileSync(join(folder, "vocab.json"), JSON.stringify(bpe.vocab));
    const lines = bpe.merges.map((merge: string | string[]) => (typeof merge === "string" ? merge : merge.join(" ")));
    writeFileSync(join(folder, "merges.txt"), `#version: 0.2\n${lines.join("\n")}\n`);
    const all: string[] = JSON.parse(readFileSync(join(TOKENIZERS, "texts.json"), "utf8"));
    const older = await (await openTextTokenizer(folder)).encode(all, 64);
    const newer = await (await openTextTokenizer(from)).encode(all, 64);
    expect(older.ids).toEqual(newer.ids);
  });
});
