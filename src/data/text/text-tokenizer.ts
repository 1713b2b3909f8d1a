/**
 * The tokenizer in a model's folder: texts and pairs to the numbers of their tokens, as transformers' fast tokenizers give them. Reading and
 * tokenizing are done by a thread of its own (`tokenizer-worker.ts`), which is ended when an expression in the files does not end.
 */
import { CheckpointError } from "../../errors.js";
import { TOKENIZER_ADVICE, type TokenBatch } from "./tokenizer-protocol.js";
import { askTokenizer, tokenizerThread } from "./tokenizer-thread.js";

/** A model's tokenizer, which runs in a thread of its own. */
export interface TextTokenizer {
  /** The file that tokens are from, for messages. */
  readonly file: string;
  /** Hex SHA-256 of the tokenizer's files. */
  readonly fingerprint: string;
  /** The token that pads, where the files name one. */
  readonly padId: number | undefined;
  /** Tokens of texts, or of pairs, with those that the tokenizer puts around them; at most `most` of each, the longer of two cut first. */
  encode(texts: readonly string[], most: number, seconds?: readonly string[]): Promise<TokenBatch>;
}

/** Raise it when the same files give other tokens. */
export const TOKENIZER_VERSION = 1;
const WORDS = { expected: "a tokenizer", advice: TOKENIZER_ADVICE, files: "tokenizer.json" };

/** One for the process; it keeps the tokenizer that was asked last. */
const thread = tokenizerThread(new URL("./tokenizer-worker.js", import.meta.url));

/** Throws CheckpointError when the files are missing, are of a kind that is not read, or take far longer than a tokenizer. */
export async function openTextTokenizer(folder: string): Promise<TextTokenizer> {
  const ask = { directory: folder, texts: [], most: 0 };
  const { file, fingerprint, padId } = await askTokenizer(thread, { ...ask, isFresh: true }, WORDS);
  return {
    file,
    fingerprint,
    padId,
    encode: async (texts, most, seconds) => {
      const { ids, segments, lengths, wholeLengths, ...found } = await askTokenizer(
        thread,
        { directory: folder, texts, seconds, most, isFresh: false },
        WORDS,
      );
      if (found.fingerprint !== fingerprint)
        throw new CheckpointError(
          `${file}: expected the tokenizer that was read when the run began, found another; leave its files as they are and start again`,
        );
      return { ids, segments, lengths, wholeLengths };
    },
  };
}
