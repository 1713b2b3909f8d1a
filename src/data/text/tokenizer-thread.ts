/**
 * Both sides of the thread that tokenizes. It exists because the regular expressions of a tokenizer.json are other people's, and one can be made to
 * take for ever. The thread keeps the tokenizer that it read last.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError, UserError } from "../../errors.js";
import { answerRequests, OverrunError, type WatchedThread, watchedThread } from "../../runtime/watched-thread.js";
import { type FolderTokenizer, folderTokenizer, type TokenizerFiles } from "./tokenizer/folder-tokenizer.js";
import { TOKENIZER_FILES } from "./tokenizer/tokenizer-files.js";
import type { TokenizerAnswer, TokenizerRequest } from "./tokenizer-protocol.js";

/** CLIP's take 100 MB with their tables, a Unigram of 250,000 tokens 350; the files may have 100 MB. */
const HEAP_MB = 2048;
/** Reading CLIP's 2 MB takes half a second, 250,000 tokens in 9 MB three; a text of a hundred letters less than a millisecond. */
const READ_MS = 5000;
const READ_MS_PER_MB = 1000;
const TEXT_MS = 20;
const LETTER_MS = 0.02;

type Thread = WatchedThread<TokenizerRequest, TokenizerAnswer>;

export function tokenizerThread(script: URL): Thread {
  return watchedThread(script, HEAP_MB);
}

export interface TokenizerWords {
  /** Completes "expected ...": "the tokenizer of a CLIP model". */
  readonly expected: string;
  /** Completes "...; take ...". */
  readonly advice: string;
  /** The files that are meant, for an error of which the file is unknown. */
  readonly files: string;
}

/** Asks the thread. Throws CheckpointError for files that are no such tokenizer, or that take far longer than one. */
export async function askTokenizer(
  thread: Thread,
  request: TokenizerRequest,
  { expected, advice, files }: TokenizerWords,
): Promise<TokenizerAnswer> {
  try {
    const letters = [...request.texts, ...(request.seconds ?? [])].reduce((sum, { length }) => sum + length, 0);
    const workMs = (await readMs(request.directory)) + TEXT_MS * request.texts.length + LETTER_MS * letters;
    return await thread.ask(request, workMs);
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const found = error instanceof OverrunError ? `${reason}, perhaps in a regular expression made to hang` : reason;
    throw new CheckpointError(`${join(request.directory, files)}: expected ${expected}, found ${found}; ${advice}`, {
      cause: error,
    });
  }
}

async function readMs(folder: string): Promise<number> {
  const sizes = await Promise.all(
    TOKENIZER_FILES.map(async (name) => (await stat(join(folder, name)).catch(() => undefined))?.size ?? 0),
  );
  return READ_MS + (READ_MS_PER_MB * sizes.reduce((sum, size) => sum + size, 0)) / 1e6;
}

/** The thread's side: tokenizers whose files are read by `read`. */
export function answerTokenizerRequests(
  read: (folder: string) => Promise<TokenizerFiles>,
  advice: string,
  check: (tokenizer: FolderTokenizer, where: string) => void = () => {},
): void {
  let known:
    | { readonly directory: string; readonly files: TokenizerFiles; readonly tokenizer: FolderTokenizer }
    | undefined;
  answerRequests<TokenizerRequest, TokenizerAnswer>(async ({ directory, texts, seconds, most, isFresh }) => {
    if (isFresh || known?.directory !== directory) {
      // The old one may go before the new one comes.
      known = undefined;
      const files = await read(directory);
      const tokenizer = folderTokenizer(files, advice);
      check(tokenizer, files.where);
      known = { directory, files: { ...files, json: undefined }, tokenizer };
    }
    const { files, tokenizer } = known;
    const encoded = texts.map((text, index) => tokenizer.encode(text, seconds?.[index], most));
    const total = encoded.reduce((sum, { ids }) => sum + ids.length, 0);
    const answer: TokenizerAnswer = {
      file: files.where,
      fingerprint: files.fingerprint,
      padId: tokenizer.padId,
      ids: new Int32Array(total),
      segments: new Uint8Array(total),
      lengths: Int32Array.from(encoded, ({ ids }) => ids.length),
      wholeLengths: Int32Array.from(encoded, ({ ids, wholeLength }) => wholeLength ?? ids.length),
    };
    let at = 0;
    for (const { ids, segments } of encoded) {
      answer.ids.set(ids, at);
      answer.segments.set(segments, at);
      at += ids.length;
    }
    return { answer };
  });
}
