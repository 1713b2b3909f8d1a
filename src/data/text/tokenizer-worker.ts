/**
 * The thread that tokenizes: the regular expressions of a tokenizer.json are other people's, and one can be made to take for ever. Keeps the
 * tokenizer it read last. Asked by `clip-tokenizer.ts`.
 */
import { answerRequests } from "../../runtime/watched-thread.js";
import { readTokenizer } from "./read-tokenizer.js";
import type { TokenizerRequest } from "./tokenizer-protocol.js";

let known: { readonly directory: string; readonly encode: (prompt: string) => readonly number[] } | undefined;

answerRequests<TokenizerRequest, readonly (readonly number[])[]>(async ({ directory, prompts, isFresh }) => {
  if (isFresh || known?.directory !== directory) known = { directory, encode: await readTokenizer(directory) };
  return { answer: prompts.map(known.encode) };
});
