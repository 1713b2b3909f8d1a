/**
 * Texts as a kind of examples: UTF-8 in files of their own, in rows of tables and in parquet columns; single, or two that make one example. An
 * empty text is a text.
 */
import { DataError } from "../../errors.js";
import { decodeUtf8 } from "../../runtime/regular-file.js";
import type { ExampleKind } from "../kind.js";
import { NEAR_JACCARD, nearComponents } from "./near-texts.js";

/** A thick novel has 3 MB, and no encoder reads more than the first pages of it. */
export const MAX_TEXT_BYTES = 10_000_000;
const MARK = [0xef, 0xbb, 0xbf];
/** Letters of all texts that are searched for near duplicates: some 10,000 reviews, a quarter of a minute. */
const MOST_COMPARED = 12e6;
/** Bytes shown of what is no UTF-8. */
const SHOWN_BYTES = 4;
/** Of a long text in a report: some five lines. */
const PREVIEW_LETTERS = 400;
/** A letter has four bytes at most. */
const LONGEST_BEGINNING = 3;

export const textKind: ExampleKind = {
  name: "text",
  one: "text",
  some: "a text",
  many: "texts",
  files: {
    hasExtension: (extension) => ["txt", "text"].includes(extension.toLowerCase()),
    formats: "txt, text",
    pattern: "*.txt",
    maxBytes: MAX_TEXT_BYTES,
    // A byte order mark says how the file is encoded; it is no letter of the text.
    fromBytes: (bytes, where) =>
      requireText(MARK.every((byte, at) => bytes[at] === byte) ? bytes.subarray(MARK.length) : bytes, where),
    mayLieBesideClasses: true,
  },
  columns: {
    option: "text_column",
    pairOption: "pair_column",
    inManifests: "texts",
    usualInManifests: ["text", "sentence", "content", "review"],
    usualInParquet: ["text", "sentence", "content", "review"],
    near: "text texts sentence sentences content contents review reviews reviewtext reviewbody document documents doc body comment comments message messages tweet post utterance query question passage paragraph abstract headline description".split(
      " ",
    ),
    nearLabels: "sentiment intent topic emotion polarity genre stars rating".split(" "),
    pairs: [
      ["text", "textpair"],
      ["text1", "text2"],
      ["texta", "textb"],
      ["sentence1", "sentence2"],
      ["sentencea", "sentenceb"],
      ["premise", "hypothesis"],
      ["question1", "question2"],
      ["question", "sentence"],
      ["question", "passage"],
      ["question", "context"],
      ["question", "answer"],
      ["query", "passage"],
      ["query", "document"],
    ],
    holding: "texts",
    maxRowLength: MAX_TEXT_BYTES,
  },
  countKey: "examples",
  card: {
    classification: "text-classification",
    encoding: "feature-extraction",
    python: {
      imports: [],
      packages: [],
      variable: "texts",
      line: 'texts = ["A text to be labelled."]',
      pipelineOptions: ["truncation=True"],
    },
    typescript: '{ texts: ["A text to be labelled."] }',
  },
  fromValue: (value, where) => {
    if (value instanceof Uint8Array) return requireText(value, where);
    if (typeof value === "string") return new TextEncoder().encode(value);
    const found = value == null ? "none (null)" : `a ${typeof value}`;
    throw new DataError(
      `${where}: expected a text, found ${found}; ${value == null ? "remove the row, or give it an empty text" : "name the column of the texts (text_column)"}`,
    );
  },
  content: async (encoded) => [normalizedText(encoded)],
  nearFirsts: (texts, firsts) =>
    texts.reduce((sum, { length }) => sum + length, 0) > MOST_COMPARED
      ? undefined
      : nearComponents(
          texts,
          NEAR_JACCARD,
          [...firsts].map((first, index) => [first, index]),
        ),
  preview: async (encoded) => ({ kind: "text", text: shortened(normalizedText(encoded)) }),
};

/** By letters, so that none is cut in two. */
function shortened(text: string): string {
  const letters = [...text];
  return letters.length <= PREVIEW_LETTERS ? text : `${letters.slice(0, PREVIEW_LETTERS).join("")}…`;
}

/** As texts are compared: composed letters, no blanks around. */
export function normalizedText(encoded: Uint8Array): string {
  return Buffer.from(encoded).toString("utf8").normalize("NFC").trim();
}

/** `bytes`, if they are UTF-8 and no longer than a text may be. Throws DataError with the place of the first that are not. */
function requireText(bytes: Uint8Array, where: string): Uint8Array {
  if (bytes.length > MAX_TEXT_BYTES)
    throw new DataError(`${where}: expected a text of at most ${MAX_TEXT_BYTES} bytes, found ${bytes.length}; cut it`);
  if (decodeUtf8(bytes) !== undefined) return bytes;
  const at = firstForeign(bytes);
  const shown = Array.from(bytes.subarray(at, at + SHOWN_BYTES), (byte) => byte.toString(16).padStart(2, "0"));
  throw new DataError(
    `${where}: expected a text in UTF-8, found the bytes ${shown.join(" ")} at byte ${at}; save it as UTF-8, e.g. with \`iconv -f latin1 -t utf8\``,
  );
}

/** How many bytes at the beginning are whole letters of UTF-8: found by halves. */
function firstForeign(bytes: Uint8Array): number {
  const isValid = (length: number) => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  let [valid, foreign] = [0, bytes.length + 1];
  while (foreign - valid > 1) {
    const middle = (valid + foreign) >> 1;
    if (isValid(middle)) valid = middle;
    else foreign = middle;
  }
  // What begins a letter that then does not go on is foreign too.
  for (const whole of [valid, valid - 1, valid - 2])
    if (decodeUtf8(bytes.subarray(0, whole)) !== undefined) return whole;
  return Math.max(0, valid - LONGEST_BEGINNING);
}
