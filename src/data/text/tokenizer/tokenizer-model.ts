/**
 * The model of a tokenizer.json: a word to the numbers of its tokens. The algorithms are those of @huggingface/tokenizers; here its input is checked,
 * and each word is given by itself, since that library joins unknown tokens of neighbouring words.
 */
import { z } from "zod";
import { quote } from "../../../runtime/printable.js";
import { BPE, type LibraryModel, Unigram, WordPiece } from "./library.js";
import { type MakeStep, makeStep, parsed, StepError } from "./steps.js";

export interface TokenizerModel {
  /** Throws StepError for a word with unknown characters where there is no token for them. */
  readonly tokens: (word: string) => readonly number[];
  readonly idOf: (token: string) => number | undefined;
}

const idSchema = z.int().min(0);
const vocabSchema = z.record(z.string(), idSchema);
const wordPieceSchema = z.looseObject({
  vocab: vocabSchema,
  unk_token: z.string(),
  continuing_subword_prefix: z.string().default("##"),
  max_input_chars_per_word: z.int().min(1).default(100),
});
const bpeSchema = z.looseObject({
  vocab: vocabSchema,
  merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
  unk_token: z.string().nullish(),
  continuing_subword_prefix: z.string().nullish(),
  end_of_word_suffix: z.string().nullish(),
  dropout: z.number().nullish(),
  fuse_unk: z.boolean().default(false),
  byte_fallback: z.boolean().default(false),
  ignore_merges: z.boolean().default(false),
});
const unigramSchema = z.looseObject({
  vocab: z.array(z.tuple([z.string(), z.number()])).min(1),
  unk_id: idSchema.nullish(),
  byte_fallback: z.boolean().default(false),
});

const kinds: ReadonlyMap<string, MakeStep<TokenizerModel>> = new Map([
  ["BPE", bpe],
  ["Unigram", unigram],
  ["WordPiece", wordPiece],
]);

/** What `model` of a tokenizer.json does. Throws StepError. */
export function tokenizerModelOf(json: unknown): TokenizerModel {
  return remembering(makeStep(withType(json), "model", kinds));
}

/** Words come again and again; long ones seldom. */
const MOST_WORDS = 50_000;
const MOST_LETTERS = 64;

function remembering({ tokens, idOf }: TokenizerModel): TokenizerModel {
  const known = new Map<string, readonly number[]>();
  return {
    idOf,
    tokens: (word) => {
      const before = known.get(word);
      if (before !== undefined) return before;
      const found = tokens(word);
      if (word.length <= MOST_LETTERS && known.size < MOST_WORDS) known.set(word, found);
      return found;
    },
  };
}

/** Files of before tokenizers 0.10 do not name their model. Source: tokenizers, models/mod.rs. */
function withType(json: unknown): unknown {
  if (typeof json !== "object" || json === null || "type" in json) return json;
  if ("merges" in json) return { ...json, type: "BPE" };
  return { ...json, type: "vocab" in json && Array.isArray(json.vocab) ? "Unigram" : "WordPiece" };
}

function wordPiece(json: unknown): TokenizerModel {
  const settings = parsed(wordPieceSchema, json, "model");
  const model = new WordPiece({ ...settings, type: "WordPiece" });
  if (model.unk_token_id === undefined)
    throw new StepError(`expected the unknown token ${quote(settings.unk_token)} in the vocabulary, found none`);
  return fromLibrary(model);
}

function bpe(json: unknown): TokenizerModel {
  const settings = parsed(bpeSchema, json, "model");
  if (settings.dropout)
    throw new StepError(`expected BPE without dropout, which gives other tokens each time, found ${settings.dropout}`);
  if (settings.continuing_subword_prefix)
    throw new StepError(
      `expected BPE without continuing_subword_prefix, found ${quote(settings.continuing_subword_prefix)}`,
    );
  const merges = settings.merges.map(pairOf);
  const { continuing_subword_prefix: _prefix, end_of_word_suffix: suffix, unk_token: unknown, ...rest } = settings;
  const model = new BPE({
    ...rest,
    type: "BPE",
    merges,
    unk_token: unknown ?? "",
    ...(suffix ? { end_of_word_suffix: suffix } : {}),
  });
  const plain = fromLibrary(model);
  if (unknown !== null && unknown !== undefined) return plain;
  // Without an unknown token what is not in the vocabulary is left out, before anything is merged.
  const isKnown = (character: string): boolean => settings.byte_fallback || model.tokens_to_ids.has(character);
  return {
    ...plain,
    tokens: (word) => plain.tokens(suffix ? word : [...word].filter(isKnown).join("")),
  };
}

/** "a b" of old files, or ["a", "b"]. */
function pairOf(merge: string | readonly [string, string]): [string, string] {
  if (typeof merge !== "string") return [merge[0], merge[1]];
  const space = merge.indexOf(" ");
  if (space < 0) throw new StepError(`expected two tokens in each of the merges, found ${quote(merge)}`);
  return [merge.slice(0, space), merge.slice(space + 1)];
}

function unigram(json: unknown): TokenizerModel {
  const settings = parsed(unigramSchema, json, "model");
  const { vocab, unk_id } = settings;
  if (typeof unk_id === "number" && unk_id >= vocab.length)
    throw new StepError(`expected unk_id in the vocabulary of ${vocab.length} tokens, found ${unk_id}`);
  // Without an unknown token the library is given one that no text has.
  const known = typeof unk_id === "number" ? vocab : [...vocab, UNKNOWN];
  const model = new Unigram({ ...settings, type: "Unigram", vocab: known, unk_id: unk_id ?? vocab.length }, "");
  const idOf = (token: string): number | undefined => model.tokens_to_ids.get(token);
  const bytes = settings.byte_fallback ? byteTokens(idOf) : undefined;
  return {
    idOf,
    tokens: (word) =>
      model([word]).flatMap((token) => {
        const id = idOf(token);
        if (id !== undefined) return [id];
        if (bytes !== undefined) return Array.from(Buffer.from(token), (byte) => bytes[byte] ?? 0);
        if (typeof unk_id === "number") return [unk_id];
        throw new StepError(`expected a token for ${quote(token)} or for what is unknown, found none`);
      }),
  };
}

const UNKNOWN: [string, number] = ["\u{10ffff}", 0];

/** The token of each byte, where all have one. */
function byteTokens(idOf: (token: string) => number | undefined): readonly number[] | undefined {
  const ids = Array.from({ length: 256 }, (_, byte) => idOf(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`));
  const known = ids.filter((id) => id !== undefined);
  return known.length === 256 ? known : undefined;
}

function fromLibrary(model: LibraryModel): TokenizerModel {
  const idOf = (token: string): number | undefined => model.tokens_to_ids.get(token);
  return {
    idOf,
    tokens: (word) =>
      model([word]).map((token) => {
        const id = idOf(token) ?? model.unk_token_id;
        if (id === undefined)
          throw new StepError(`expected a token for ${quote(token)} or for what is unknown, found none`);
        return id;
      }),
  };
}
