/**
 * The pre-tokenizers of a tokenizer.json, as the Rust library `tokenizers` has them: they cut a text into words. Those of @huggingface/tokenizers
 * differ in what a blank, a letter, a digit or punctuation is and in what becomes of the places where they cut.
 */
import { z } from "zod";
import { escaped, expressionOf, patternSchema } from "./expressions.js";
import { behaviorSchema, type Piece, splitByToday, splitPiece } from "./pieces.js";
import { type MakeStep, makeStep, parsed } from "./steps.js";
import { PUNCTUATION } from "./unicode-tables.js";

export type PreTokenize = (piece: Piece) => readonly Piece[];

const BLANK = /\p{White_Space}/gu;
const PUNCTUATION_MARK = new RegExp(`[${PUNCTUATION}]`, "gu");
/** Words of the byte-level step, with Unicode's blanks. Source: tokenizers, pre_tokenizers/byte_level.rs. */
const BYTE_LEVEL_WORDS =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
/** `\w+|[^\w\s]+` as Rust's regex reads it. Source: tokenizers, pre_tokenizers/whitespace.rs. */
const LETTERS = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}`;
const WORDS = new RegExp(String.raw`[${LETTERS}]+|[^${LETTERS}\p{White_Space}]+`, "gu");

const sequenceSchema = z.looseObject({ pretokenizers: z.array(z.unknown()) });
const byteLevelSchema = z.looseObject({
  add_prefix_space: z.boolean().default(true),
  use_regex: z.boolean().default(true),
});
const metaspaceSchema = z.looseObject({
  replacement: z.string().default("\u2581"),
  prepend_scheme: z.enum(["always", "first", "never"]).optional(),
  add_prefix_space: z.boolean().optional(),
  split: z.boolean().default(true),
});
const splitSchema = z.looseObject({
  pattern: patternSchema,
  behavior: behaviorSchema,
  invert: z.boolean().default(false),
});
const punctuationSchema = z.looseObject({ behavior: behaviorSchema.default("Isolated") });
const digitsSchema = z.looseObject({ individual_digits: z.boolean().default(false) });
const delimiterSchema = z.looseObject({ delimiter: z.string().min(1) });
const lengthSchema = z.looseObject({ length: z.int().min(1).default(5) });

const kinds: ReadonlyMap<string, MakeStep<PreTokenize>> = new Map<string, MakeStep<PreTokenize>>([
  ["BertPreTokenizer", () => bert],
  ["ByteLevel", byteLevel],
  ["CharDelimiterSplit", charDelimiter],
  ["Digits", digits],
  ["FixedLength", fixedLength],
  ["Metaspace", metaspace],
  ["Punctuation", punctuation],
  ["Sequence", sequence],
  ["Split", split],
  ["Whitespace", () => (piece) => splitPiece(piece, WORDS, "Removed", true)],
  ["WhitespaceSplit", () => (piece) => splitPiece(piece, BLANK, "Removed")],
]);

/** What `pre_tokenizer` of a tokenizer.json does. Throws StepError. */
export function preTokenizerOf(json: unknown): PreTokenize {
  return json === null || json === undefined ? (piece) => [piece] : makeStep(json, "pre_tokenizer", kinds);
}

function sequence(json: unknown): PreTokenize {
  const all = parsed(sequenceSchema, json, "pre_tokenizer").pretokenizers.map(preTokenizerOf);
  return (piece) => all.reduce<readonly Piece[]>((pieces, cut) => pieces.flatMap(cut), [piece]);
}

/** Source: tokenizers, pre_tokenizers/bert.rs. */
function bert(piece: Piece): readonly Piece[] {
  return splitPiece(piece, BLANK, "Removed").flatMap((word) => splitPiece(word, PUNCTUATION_MARK, "Isolated"));
}

function byteLevel(json: unknown): PreTokenize {
  const { add_prefix_space, use_regex } = parsed(byteLevelSchema, json, "pre_tokenizer");
  return (piece) => {
    const whole = add_prefix_space && !piece.text.startsWith(" ") ? { ...piece, text: ` ${piece.text}` } : piece;
    const words = use_regex ? splitPiece(whole, BYTE_LEVEL_WORDS, "Isolated") : [whole];
    return words.map(({ text, isFirst }) => ({ text: inBytes(text), isFirst }));
  };
}

/** GPT-2's letter for each byte: itself where it is printable, the rest from U+0100 on. */
const BYTE_LETTERS = byteLetters();

function byteLetters(): readonly string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(isPrintable ? byte : next++);
  });
}

function inBytes(text: string): string {
  let letters = "";
  for (const byte of Buffer.from(text)) letters += BYTE_LETTERS[byte];
  return letters;
}

/** Source: tokenizers, pre_tokenizers/metaspace.rs. */
function metaspace(json: unknown): PreTokenize {
  const settings = parsed(metaspaceSchema, json, "pre_tokenizer");
  const { replacement, add_prefix_space, split: splits } = settings;
  const scheme = add_prefix_space === false ? "never" : (settings.prepend_scheme ?? "always");
  const expression = new RegExp(escaped(replacement), "gu");
  return (piece) => {
    const text = piece.text.replaceAll(" ", () => replacement);
    const isPrepended = !text.startsWith(replacement) && (scheme === "always" || (scheme === "first" && piece.isFirst));
    const whole = { ...piece, text: isPrepended ? replacement + text : text };
    return splits ? splitPiece(whole, expression, "MergedWithNext") : [whole];
  };
}

function split(json: unknown): PreTokenize {
  const { pattern, behavior, invert } = parsed(splitSchema, json, "pre_tokenizer");
  const expression = expressionOf(pattern);
  return (piece) => splitPiece(piece, expression, behavior, invert);
}

function punctuation(json: unknown): PreTokenize {
  const { behavior } = parsed(punctuationSchema, json, "pre_tokenizer");
  return (piece) => splitPiece(piece, PUNCTUATION_MARK, behavior);
}

function digits(json: unknown): PreTokenize {
  const { individual_digits } = parsed(digitsSchema, json, "pre_tokenizer");
  return (piece) => splitByToday(piece, /\p{N}/gu, individual_digits ? "Isolated" : "Contiguous");
}

function charDelimiter(json: unknown): PreTokenize {
  const expression = new RegExp(escaped(parsed(delimiterSchema, json, "pre_tokenizer").delimiter), "gu");
  return (piece) => splitPiece(piece, expression, "Removed");
}

function fixedLength(json: unknown): PreTokenize {
  const { length } = parsed(lengthSchema, json, "pre_tokenizer");
  const expression = new RegExp(`[^]{1,${length}}`, "gu");
  return (piece) => splitPiece(piece, expression, "Isolated");
}
