/**
 * Reads the tokenizer of a CLIP text tower: prompts to the numbers of their tokens, as transformers' CLIPTokenizer(Fast) gives them. From
 * tokenizer.json, or from vocab.json and merges.txt, which old repositories have instead; the algorithm is @huggingface/tokenizers'. Only for
 * `tokenizer-worker.ts`: regular expressions in these files may take for ever. Everyone else asks `clip-tokenizer.ts`.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { CheckpointError } from "../../errors.js";
import { parseBoundedJson } from "../../runtime/bounded-json.js";
import { quote } from "../../runtime/printable.js";
import { readText } from "../../runtime/regular-file.js";

/** CLIP's are 2 and 4 MB; the largest published ones of any model some 30. */
const MAX_BYTES = 100_000_000;
const END = "<|endoftext|>";
const START = "<|startoftext|>";
/** Words as CLIP cuts them. Source: transformers, models/clip/tokenization_clip.py. */
const WORDS = String.raw`<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`;
/** Words of the byte-level step. Source: tokenizers, pre_tokenizers/byte_level.rs. */
const BYTE_LEVEL_WORDS = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
/** CLIP's has 100 letters, the longest of published tokenizers some 300; they count to 3. */
const MAX_EXPRESSION_LENGTH = 2000;
const MAX_REPETITIONS = 1000;
/** The first line of merges.txt. */
const MERGES_VERSION = /^#version/;

const vocabularySchema = z.record(z.string(), z.int().min(0));
const anyObject = z.looseObject({});
/** A step of pre_tokenizer. */
const stepSchema = z.looseObject({
  type: z.string(),
  pretokenizers: z.array(z.unknown()).optional(),
  add_prefix_space: z.boolean().optional(),
  use_regex: z.boolean().optional(),
});

/** Throws CheckpointError when the files are missing or are not those of a CLIP tokenizer. */
export async function readTokenizer(directory: string): Promise<(prompt: string) => readonly number[]> {
  const files = await tokenizerJson(directory);
  const settings = await optionalJson(join(directory, "tokenizer_config.json"));
  requireSmallExpressions(files.json, files.where);
  const json = { ...files.json, pre_tokenizer: withUnicodeBlanks(files.json.pre_tokenizer) };
  const tokenizer = construct(json, settings ?? {}, files.where);
  const lowercases = JSON.stringify(files.json.normalizer ?? null).includes('"Lowercase"');
  const encode = (prompt: string): readonly number[] => {
    // JavaScript gives a capital sigma at the end of a word another small letter; transformers goes letter by letter.
    return tokenizer.encode(lowercases ? prompt.replaceAll("\u03a3", "\u03c3") : prompt).ids;
  };
  const ends = encode("");
  if (ends.length !== 2)
    throw new CheckpointError(
      `${files.where}: expected a tokenizer that begins and ends every prompt with a token, found ${ends.length} tokens for an empty one; take the tokenizer files of a CLIP model`,
    );
  return encode;
}

/** Compiling an expression can take all memory, which no thread survives; how long matching takes is bounded by the thread. */
function requireSmallExpressions(json: z.infer<typeof anyObject>, where: string): void {
  // Expressions stand nowhere else: the vocabulary need not be looked through.
  const steps = JSON.stringify([json.normalizer, json.pre_tokenizer, json.post_processor, json.decoder]);
  for (const [, quoted = '""'] of steps.matchAll(/"Regex":("(?:[^"\\]|\\.)*")/g)) {
    const expression: string = JSON.parse(quoted);
    const repetitions = [...expression.matchAll(/\{(\d+)(?:,(\d*))?\}/g)].map(([, least, most]) =>
      Number(most || least),
    );
    const product = repetitions.reduce((all, count) => all * Math.max(1, count), 1);
    if (expression.length <= MAX_EXPRESSION_LENGTH && product <= MAX_REPETITIONS) continue;
    throw new CheckpointError(
      `${where}: expected regular expressions of at most ${MAX_EXPRESSION_LENGTH} letters and ${MAX_REPETITIONS} counted repetitions, found ${quote(expression)}; take the tokenizer files of the text tower's model`,
    );
  }
}

async function tokenizerJson(
  directory: string,
): Promise<{ readonly json: z.infer<typeof anyObject>; readonly where: string }> {
  const where = join(directory, "tokenizer.json");
  const json = await optionalJson(where);
  if (json !== undefined) return { json, where };
  const [vocabulary, merges] = [join(directory, "vocab.json"), join(directory, "merges.txt")];
  const there = [vocabulary, merges].map(isThere);
  if ((await Promise.all(there)).includes(false))
    throw new CheckpointError(
      `${directory}: expected tokenizer.json, or vocab.json and merges.txt, of the text tower's model, found neither; copy them there from that model`,
    );
  const vocab = checked(vocabularySchema, await readJson(vocabulary), vocabulary);
  const lines = (await readText(merges, "the merges of a tokenizer", MAX_BYTES)).split(/\r?\n/);
  return { where: vocabulary, json: fromVocabulary(vocab, lines, vocabulary) };
}

/** What transformers' CLIPTokenizer makes of a vocabulary and its merges. */
function fromVocabulary(
  vocab: z.infer<typeof vocabularySchema>,
  lines: readonly string[],
  where: string,
): z.infer<typeof anyObject> {
  const special = (content: string) => {
    const id = Object.hasOwn(vocab, content) ? vocab[content] : undefined;
    if (id === undefined)
      throw new CheckpointError(`${where}: expected a token ${content}, found none; take the file of a CLIP model`);
    return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  };
  const [start, end] = [special(START), special(END)];
  return {
    added_tokens: [start, end],
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Replace", pattern: { Regex: "\\s+" }, content: " " },
        { type: "Lowercase" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: WORDS }, behavior: "Removed", invert: true },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true },
      ],
    },
    post_processor: {
      type: "RobertaProcessing",
      sep: [END, end.id],
      cls: [START, start.id],
      trim_offsets: false,
      add_prefix_space: false,
    },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: END,
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      fuse_unk: false,
      vocab,
      merges: lines.filter((line) => line !== "" && !MERGES_VERSION.test(line)),
    },
  };
}

/**
 * The byte-level step cuts words once more. The library does that with JavaScript's idea of a blank, where U+FEFF is one and U+0085 is none;
 * in a split by expression it takes Unicode's, as transformers does.
 */
function withUnicodeBlanks(step: unknown): unknown {
  const parsed = stepSchema.safeParse(step);
  if (!parsed.success) return step;
  const { type, pretokenizers, add_prefix_space, use_regex } = parsed.data;
  if (pretokenizers !== undefined) return { ...parsed.data, pretokenizers: pretokenizers.map(withUnicodeBlanks) };
  if (type !== "ByteLevel" || add_prefix_space === true || use_regex === false) return step;
  const split = { type: "Split", pattern: { Regex: BYTE_LEVEL_WORDS }, behavior: "Isolated", invert: false };
  return { type: "Sequence", pretokenizers: [split, { ...parsed.data, use_regex: false }] };
}

function construct(json: object, settings: object, where: string): Tokenizer {
  try {
    return new Tokenizer(json, settings);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError(
      `${where}: expected the tokenizer of a CLIP model (${reason}); take the tokenizer files of the text tower's model`,
      { cause },
    );
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

async function optionalJson(path: string): Promise<z.infer<typeof anyObject> | undefined> {
  return (await isThere(path)) ? checked(anyObject, await readJson(path), path) : undefined;
}

async function readJson(path: string): Promise<unknown> {
  const text = await readText(path, "a file of a tokenizer", MAX_BYTES);
  try {
    return parseBoundedJson(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError(`${path}: expected JSON (${reason}); get the file again`, { cause });
  }
}

function checked<T>(schema: z.ZodType<T>, json: unknown, path: string): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new CheckpointError(
    `${path}: expected ${schema === anyObject ? "a JSON object" : "numbers of tokens"}, found something else (${parsed.error.issues[0]?.message}); get the file again`,
  );
}
