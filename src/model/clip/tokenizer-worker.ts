/** The thread that tokenizes prompts for CLIP's text tower. Asked by `tokenizer.ts`. */
import { answerTokenizerRequests } from "../../data/text/tokenizer-thread.js";
import { CheckpointError } from "../../errors.js";
import { CLIP_ADVICE, readClipTokenizerFiles } from "./tokenizer-files.js";

/** The tower's features are those of the token that ends a prompt. */
answerTokenizerRequests(readClipTokenizerFiles, CLIP_ADVICE, ({ encode }, where) => {
  const { ids } = encode("", undefined, Number.POSITIVE_INFINITY);
  if (ids.length !== 2)
    throw new CheckpointError(
      `${where}: expected a tokenizer that begins and ends every prompt with a token, found ${ids.length} tokens for an empty one; take the tokenizer files of a CLIP model`,
    );
});
