/**
 * What is used of @huggingface/tokenizers 0.2: its three models, and how it compiles expressions of Oniguruma. Declared here, since its own
 * declarations import each other without file extensions, which TypeScript does not follow for Node.
 */
import { BPE, type LibraryModel, SplitPreTokenizer, Unigram, WordPiece } from "@huggingface/tokenizers";

declare module "@huggingface/tokenizers" {
  /** Words to their tokens, unknown ones as `unk_token` or as they are. */
  interface LibraryModel {
    (words: readonly string[]): string[];
    readonly tokens_to_ids: ReadonlyMap<string, number>;
    readonly unk_token_id?: number;
  }
  const BPE: new (config: object) => LibraryModel;
  const WordPiece: new (config: object) => LibraryModel;
  const Unigram: new (config: object, endToken: string) => LibraryModel;
  const SplitPreTokenizer: new (config: object) => { readonly pattern: RegExp | null };
}

export { BPE, type LibraryModel, SplitPreTokenizer, Unigram, WordPiece };
