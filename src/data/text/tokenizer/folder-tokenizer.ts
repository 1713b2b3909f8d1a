/**
 * A tokenizer.json with its tokenizer_config.json as a function from texts to tokens, equal to transformers' fast tokenizers. Only for the thread of
 * `tokenizer-worker.ts`: regular expressions in these files may take for ever.
 */
import { z } from "zod";
import { CheckpointError } from "../../../errors.js";
import { addedTokenSchema, sectionsOf } from "./added-tokens.js";
import { normalizerOf } from "./normalizers.js";
import { cutTo, longestFirst, postProcessorOf, type Tokens } from "./post-processor.js";
import { preTokenizerOf } from "./pre-tokenizers.js";
import { parsed, StepError } from "./steps.js";
import { tokenizerModelOf } from "./tokenizer-model.js";

export interface TokenizerFiles {
  /** tokenizer.json, or what it would be. */
  readonly json: unknown;
  /** tokenizer_config.json; empty where there is none. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The file that `json` is from, for messages. */
  readonly where: string;
  /** Hex SHA-256 of the files. */
  readonly fingerprint: string;
}

export interface EncodedText extends Tokens {
  /** Tokens that it would have had, where it was cut. */
  readonly wholeLength?: number;
}

export interface FolderTokenizer {
  /** One text, or a pair, of at most `most` tokens. */
  readonly encode: (first: string, second: string | undefined, most: number) => EncodedText;
  /** The token that pads, where the files name one. */
  readonly padId: number | undefined;
}

const fileSchema = z.looseObject({
  added_tokens: z.array(addedTokenSchema).default([]),
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  post_processor: z.unknown(),
  model: z.unknown(),
  padding: z
    .looseObject({ pad_id: z.int().min(0) })
    .nullish()
    .catch(undefined),
});
/** Keys of tokenizer_config.json that count more than tokenizer.json. */
const settingsSchema = z.looseObject({
  tokenizer_class: z.string().nullish(),
  do_lower_case: z.boolean().nullish(),
  strip_accents: z.boolean().nullish(),
  tokenize_chinese_chars: z.boolean().nullish(),
  add_prefix_space: z.boolean().nullish(),
  truncation_side: z.enum(["left", "right"]).nullish(),
  pad_token: z.union([z.string(), z.looseObject({ content: z.string() })]).nullish(),
});
type Settings = z.infer<typeof settingsSchema>;

/** Throws CheckpointError for files that are no tokenizer, or one of a kind that is not known. */
export function folderTokenizer({ json, settings: given, where }: TokenizerFiles, advice: string): FolderTokenizer {
  try {
    const file = parsed(fileSchema, json, "tokenizer");
    const settings = parsed(settingsSchema, given, "tokenizer_config.json");
    const normalize = normalizerOf(withSettings(file.normalizer, settings));
    const sections = sectionsOf(file.added_tokens, normalize);
    const cut = preTokenizerOf(withSettings(file.pre_tokenizer, settings));
    const model = tokenizerModelOf(file.model);
    const { assemble, added } = postProcessorOf(file.post_processor);
    const side = settings.truncation_side ?? "right";
    const idsOf = (text: string): readonly number[] =>
      sections(text).flatMap((section) =>
        "id" in section ? [section.id] : cut(section.piece).flatMap((word) => model.tokens(word.text)),
      );
    const pad = typeof settings.pad_token === "object" ? settings.pad_token?.content : settings.pad_token;
    const padId =
      pad === undefined
        ? file.padding?.pad_id
        : (file.added_tokens.find(({ content }) => content === pad)?.id ?? model.idOf(pad));
    const encode: FolderTokenizer["encode"] = (first, second, most) => {
      const [a, b] = [idsOf(first), second === undefined ? undefined : idsOf(second)];
      const room = Math.max(0, most - (b === undefined ? added.single : added.pair));
      const [mostA, mostB] = b === undefined ? [room, 0] : longestFirst(a.length, b.length, room);
      const tokens = assemble(cutTo(a, mostA, side), b === undefined ? undefined : cutTo(b, mostB, side));
      const length = a.length + (b === undefined ? added.single : b.length + added.pair);
      return length > tokens.ids.length ? { ...tokens, wholeLength: length } : tokens;
    };
    return { encode, padId };
  } catch (cause) {
    if (!(cause instanceof StepError)) throw cause;
    throw new CheckpointError(`${where}: ${cause.message}; ${advice}`, { cause });
  }
}

/**
 * A step of tokenizer.json with what tokenizer_config.json says otherwise: transformers' classes for BERT and RoBERTa set it in their normalizer and
 * pre-tokenizer. Source: transformers 4, models/bert/tokenization_bert_fast.py, models/roberta/tokenization_roberta_fast.py.
 */
function withSettings(step: unknown, settings: Settings): unknown {
  if (typeof step !== "object" || step === null || !("type" in step) || isGeneric(settings)) return step;
  const { do_lower_case, strip_accents, tokenize_chinese_chars, add_prefix_space } = settings;
  if (step.type === "BertNormalizer")
    return {
      ...step,
      ...(typeof do_lower_case === "boolean" ? { lowercase: do_lower_case } : {}),
      ...(strip_accents === undefined ? {} : { strip_accents }),
      ...(typeof tokenize_chinese_chars === "boolean" ? { handle_chinese_chars: tokenize_chinese_chars } : {}),
    };
  if (step.type === "ByteLevel" && typeof add_prefix_space === "boolean") return { ...step, add_prefix_space };
  return step;
}

/** Whether the class takes tokenizer.json as it is. */
function isGeneric({ tokenizer_class }: Settings): boolean {
  return tokenizer_class === "PreTrainedTokenizerFast" || tokenizer_class === "TokenizersBackend";
}
