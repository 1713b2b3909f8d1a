/** What is asked of the thread that tokenizes, and what it answers. B texts, S tokens of all of them. */

/** What to do about files that are no tokenizer. */
export const TOKENIZER_ADVICE = "take the tokenizer files of the model";

/** Texts, or pairs, for the tokenizer in a folder. `isFresh`: its files are read again. */
export interface TokenizerRequest {
  readonly directory: string;
  readonly texts: readonly string[];
  readonly seconds?: readonly string[] | undefined;
  /** Tokens of each at most. */
  readonly most: number;
  readonly isFresh: boolean;
}

/** Tokens of texts, those of each behind those of the one before. */
export interface TokenBatch {
  /** [S] */
  readonly ids: Int32Array;
  /** [S], 0 or 1. */
  readonly segments: Uint8Array;
  /** [B] */
  readonly lengths: Int32Array;
  /** [B], how many each would have had if it had not been cut. */
  readonly wholeLengths: Int32Array;
}

export interface TokenizerAnswer extends TokenBatch {
  /** The file that tokens are from. */
  readonly file: string;
  /** Hex SHA-256 of the tokenizer's files. */
  readonly fingerprint: string;
  /** The token that pads, where the files name one. */
  readonly padId: number | undefined;
}
