/** What is asked of the thread that tokenizes; it answers with the tokens of each prompt. */

/** Prompts for the tokenizer in a folder. `isFresh`: its files are read again. */
export interface TokenizerRequest {
  readonly directory: string;
  readonly prompts: readonly string[];
  readonly isFresh: boolean;
}
