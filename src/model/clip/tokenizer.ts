/**
 * The tokenizer of a CLIP text tower: prompts to the numbers of their tokens. Reading and tokenizing are done by a thread of its own
 * (`tokenizer-worker.ts`), which is ended when an expression in the tokenizer's files does not end.
 */
import { askTokenizer, tokenizerThread } from "../../data/text/tokenizer-thread.js";
import { CLIP_ADVICE } from "./tokenizer-files.js";

export interface ClipTokenizer {
  /** Tokens of each prompt, with the two that begin and end it; what is longer than the context is cut before its end. */
  encode(prompts: readonly string[]): Promise<readonly (readonly number[])[]>;
}

const WORDS = {
  expected: "the tokenizer of a CLIP model",
  advice: CLIP_ADVICE,
  files: "tokenizer.json (or vocab.json and merges.txt)",
};

/** One for the process; it keeps the tokenizer that was asked last. */
const thread = tokenizerThread(new URL("./tokenizer-worker.js", import.meta.url));

/** Throws CheckpointError when the files are missing, are not those of a CLIP tokenizer, or take far longer than one. */
export async function openClipTokenizer(directory: string, contextLength: number): Promise<ClipTokenizer> {
  const ask = (texts: readonly string[], isFresh: boolean) =>
    askTokenizer(thread, { directory, texts, most: contextLength, isFresh }, WORDS);
  await ask([], true);
  return {
    encode: async (prompts) => {
      const { ids, lengths } = await ask(prompts, false);
      let end = 0;
      return Array.from(lengths, (length) => {
        end += length;
        return [...ids.subarray(end - length, end)];
      });
    },
  };
}
