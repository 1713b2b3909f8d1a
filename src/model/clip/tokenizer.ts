/**
 * The tokenizer of a CLIP text tower: prompts to the numbers of their tokens. Reading and tokenizing are done by a thread of its own
 * (`tokenizer-worker.ts`, `read-tokenizer.ts`), which is ended when an expression in the tokenizer's files does not.
 */
import { join } from "node:path";
import type { TokenizerRequest } from "../../data/text/tokenizer-protocol.js";
import { CheckpointError, UserError } from "../../errors.js";
import { OverrunError, watchedThread } from "../../runtime/watched-thread.js";

export interface ClipTokenizer {
  /** Tokens of each prompt, with the two that begin and end it; what is longer than the context is cut before its end. */
  encode(prompts: readonly string[]): Promise<readonly (readonly number[])[]>;
}

/** CLIP's take 100 MB with their tables; the files may have 100 MB. */
const HEAP_MB = 2048;
/** Reading CLIP's takes half a second, a prompt less than a millisecond. */
const READ_MS = 5000;
const PROMPT_MS = 20;

/** One for the process; it keeps the tokenizer that was asked last. */
const thread = watchedThread<TokenizerRequest, readonly (readonly number[])[]>(
  new URL("../../data/text/tokenizer-worker.js", import.meta.url),
  HEAP_MB,
);

/** Throws CheckpointError when the files are missing, are not those of a CLIP tokenizer, or take far longer than one. */
export async function openClipTokenizer(directory: string, contextLength: number): Promise<ClipTokenizer> {
  const ask = async (prompts: readonly string[], isFresh: boolean) => {
    try {
      return await thread.ask({ directory, prompts, isFresh }, READ_MS + PROMPT_MS * prompts.length);
    } catch (error) {
      if (error instanceof UserError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      const found = error instanceof OverrunError ? `${reason}, perhaps in a regular expression made to hang` : reason;
      throw new CheckpointError(
        `${join(directory, "tokenizer.json")} (or vocab.json and merges.txt): expected the tokenizer of a CLIP model, found ${found}; take the tokenizer files of the text tower's model`,
        { cause: error },
      );
    }
  };
  await ask([], true);
  return {
    encode: async (prompts) =>
      (await ask(prompts, false)).map((ids) =>
        ids.length <= contextLength ? ids : [...ids.slice(0, contextLength - 1), ...ids.slice(-1)],
      ),
  };
}
