/**
 * Tokens of splits, in the disk cache (example-cache.ts) or in memory: those of one text behind those of the one before, each as four bytes with
 * its segment in the highest bit; behind them the length of every text, how many were cut, and the numbers of texts and tokens.
 */
import { join } from "node:path";
import { DataError } from "../../errors.js";
import { readAt, reopen } from "../../runtime/open-files.js";
import { cachedContent, writeCached } from "../example-cache.js";

/** Texts whose tokens lie one behind the other. */
export interface TokenRows {
  /** [N] */
  readonly lengths: Int32Array;
  /** How many texts were longer than the model takes. */
  readonly cut: number;
  /** The tokens of text `index`, each with its segment (tokenOf, segmentOf). Throws DataError when their file is gone. */
  at(index: number): Uint32Array;
}

/** Some texts of a split, encoded. */
export interface TokenChunk {
  readonly tokens: Uint32Array;
  readonly lengths: Int32Array;
  readonly cut: number;
}

const SEGMENT_BIT = 31;
const TOKEN_BYTES = 4;
/** Of the end of a file: texts and tokens as float64, those that were cut as int32. */
const END_BYTES = 20;

/** A token with the segment, 0 or 1, that it is in. */
export const packed = (id: number, segment: number): number => ((segment << SEGMENT_BIT) | id) >>> 0;
export const tokenOf = (value: number): number => value & 0x7fff_ffff;
export const segmentOf = (value: number): number => value >>> SEGMENT_BIT;

const cachePath = (cacheDir: string, key: string): string => join(cacheDir, "tokens", `${key}.tokens`);

/** The cached tokens of `key`, or undefined when there are none that verify. */
export async function readTokenCache(cacheDir: string, key: string): Promise<TokenRows | undefined> {
  const path = cachePath(cacheDir, key);
  const content = await cachedContent(path);
  return content === undefined ? undefined : rowsInFile(path, content);
}

/** Fills the cache with what `encode` yields; undefined when the disk refuses. */
export async function fillTokenCache(
  cacheDir: string,
  key: string,
  mostBytes: number,
  encode: () => AsyncIterable<TokenChunk>,
): Promise<TokenRows | undefined> {
  const path = cachePath(cacheDir, key);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    const lengths: Int32Array[] = [];
    let [texts, tokens, cut] = [0, 0, 0];
    for await (const chunk of encode()) {
      lengths.push(chunk.lengths);
      texts += chunk.lengths.length;
      tokens += chunk.tokens.length;
      cut += chunk.cut;
      yield bytesOf(chunk.tokens);
    }
    for (const some of lengths) yield bytesOf(some);
    const end = new DataView(new ArrayBuffer(END_BYTES));
    end.setFloat64(0, texts, true);
    end.setFloat64(8, tokens, true);
    end.setInt32(16, cut, true);
    yield new Uint8Array(end.buffer);
  }
  if (!(await writeCached(path, { mostBytes }, chunks))) return undefined;
  return readTokenCache(cacheDir, key);
}

/** What `encode` yields, held in memory. */
export async function tokensInMemory(encode: () => AsyncIterable<TokenChunk>): Promise<TokenRows> {
  const rows: Uint32Array[] = [];
  let cut = 0;
  for await (const chunk of encode()) {
    cut += chunk.cut;
    let start = 0;
    for (const length of chunk.lengths) {
      rows.push(chunk.tokens.slice(start, start + length));
      start += length;
    }
  }
  return {
    lengths: Int32Array.from(rows, ({ length }) => length),
    cut,
    at: (index) => rows[index] ?? new Uint32Array(),
  };
}

/** Undefined for a file of another form. */
function rowsInFile(path: string, content: number): TokenRows | undefined {
  if (content < END_BYTES) return undefined;
  reopen(path);
  const read = (target: Uint8Array, position: number): boolean => readAt(path, target, position) === target.byteLength;
  const end = new DataView(new ArrayBuffer(END_BYTES));
  if (!read(new Uint8Array(end.buffer), content - END_BYTES)) return undefined;
  const [texts, tokens, cut] = [end.getFloat64(0, true), end.getFloat64(8, true), end.getInt32(16, true)];
  if ((tokens + texts) * TOKEN_BYTES + END_BYTES !== content) return undefined;
  const lengths = new Int32Array(texts);
  if (!read(bytesOf(lengths), tokens * TOKEN_BYTES)) return undefined;
  const starts = new Float64Array(texts);
  for (let index = 1; index < texts; index++) starts[index] = (starts[index - 1] ?? 0) + (lengths[index - 1] ?? 0);
  return {
    lengths,
    cut,
    at: (index) => {
      const own = new Uint32Array(lengths[index] ?? 0);
      let reason = "it ends before that text";
      try {
        if (read(bytesOf(own), (starts[index] ?? 0) * TOKEN_BYTES)) return own;
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
      throw new DataError(
        `${path}: expected the tokens of text ${index} in the cache, as when the run began, found that ${reason}; start again (a fit with --resume), texts are encoded anew`,
      );
    },
  };
}

/** Files are read on the machine that wrote them, in its order of bytes. */
function bytesOf({ buffer, byteOffset, byteLength }: Uint32Array | Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
