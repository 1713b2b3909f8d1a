/**
 * Texts of a split as examples of a model: tokens by the model's own tokenizer, made once and kept (token-cache.ts), and padded on the right when a
 * batch is gathered. N texts, B of a batch, T tokens that they are padded to.
 */
import { createHash } from "node:crypto";
import { CheckpointError, DataError } from "../../errors.js";
import type { EncodeOptions, Encoder } from "../encoder.js";
import type { ExampleStore, ExampleValues, LabelledExamples } from "../examples.js";
import type { Dataset } from "../readers/dataset-reader.js";
import { type TextTokenizer, TOKENIZER_VERSION } from "./text-tokenizer.js";
import {
  fillTokenCache,
  packed,
  readTokenCache,
  segmentOf,
  type TokenChunk,
  type TokenRows,
  tokenOf,
  tokensInMemory,
} from "./token-cache.js";

/** Texts that go to the tokenizer's thread at once: some milliseconds of work, and little memory. */
const TEXTS_AT_ONCE = 512;
/** Some billion tokens. */
const DEFAULT_CACHE_BYTES = 64e9;

/** What programs call the inputs of a text model, [B, T] each. */
export interface TextInputs {
  readonly tokens: string;
  /** 1 for tokens, 0 for padding. */
  readonly mask: string;
  /** 0 for the first text of a pair and 1 for the second; absent for models without segments. */
  readonly segments?: string;
}

export interface TextEncoderOptions {
  readonly tokenizer: TextTokenizer;
  /** Numbers of tokens are below it. */
  readonly vocabularySize: number;
  /** What texts are padded to, in ascending order; they are cut at the last one. */
  readonly lengths: readonly number[];
  readonly inputs: TextInputs;
}

/** The encoder of texts for a model with this tokenizer. */
export function textEncoder(options: TextEncoderOptions): Encoder {
  return { kind: "text", open: (dataset, how) => openTexts(dataset, options, how) };
}

/**
 * Encodes a split into the cache, or finds it there. Without a cache, or with one whose disk refuses, tokens are held in memory. Throws DataError naming
 * the first text that cannot be read, CheckpointError for a tokenizer whose tokens the model does not know.
 */
async function openTexts(
  dataset: Dataset,
  options: TextEncoderOptions,
  how: EncodeOptions,
): Promise<ExampleStore | LabelledExamples> {
  const size = Math.min(dataset.size, how.limit ?? dataset.size);
  const name = `${dataset.name}, split ${dataset.split}`;
  if (size < 1) throw new DataError(`${name}: expected at least 1 text, found a limit of ${how.limit}`);
  if (how.corruption !== undefined)
    throw new DataError(
      `${name}: data.corruption: expected a corruption of texts, found ${how.corruption.name}, which is one of images`,
    );
  const most = longestOf(options);
  const encode = () => encoded(dataset, options, size, how.signal);
  const { rows, fingerprint } = await cachedRows(dataset, options, size, how, encode);
  if (rows.cut > 0)
    how.notice?.(`${name}: ${rows.cut} of ${size} texts are longer than ${most} tokens and were cut there`);
  const { classes, labels, unlabelled } = dataset;
  const store = {
    name,
    size,
    lengths: rows.lengths,
    gather: (indices: Uint32Array, length: number = most) => gather(rows, indices, length, options),
    ...(classes === undefined ? {} : { classes }),
    ...(unlabelled === undefined ? {} : { unlabelled }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
  } as const;
  return labels === undefined ? store : { ...store, labels: labels.slice(0, size) };
}

function longestOf({ lengths }: TextEncoderOptions): number {
  return lengths.at(-1) ?? 0;
}

async function cachedRows(
  dataset: Dataset,
  options: TextEncoderOptions,
  size: number,
  { cacheDir, cacheBytes = DEFAULT_CACHE_BYTES }: EncodeOptions,
  encode: () => AsyncIterable<TokenChunk>,
): Promise<{ readonly rows: TokenRows; readonly fingerprint?: string }> {
  if (cacheDir === undefined) return { rows: await tokensInMemory(encode) };
  const key = await tokenCacheKey(dataset, options, size);
  const rows =
    (await readTokenCache(cacheDir, key)) ??
    (await fillTokenCache(cacheDir, key, cacheBytes, encode)) ??
    (await tokensInMemory(encode));
  return { rows, fingerprint: key };
}

/** The hash (hex) of the first `size` texts and of what their tokens depend on. */
async function tokenCacheKey(
  dataset: Dataset,
  { tokenizer, lengths }: TextEncoderOptions,
  size: number,
): Promise<string> {
  const facts = [TOKENIZER_VERSION, tokenizer.fingerprint, lengths.at(-1), size, dataset.second !== undefined];
  const hash = createHash("sha256").update(JSON.stringify(facts));
  for (let index = 0; index < size; index++)
    // The length keeps the borders between texts apart.
    for (const text of [await dataset.encoded(index), await dataset.second?.(index)])
      if (text !== undefined) hash.update(`;${text.byteLength};`).update(text);
  return hash.digest("hex");
}

async function* encoded(
  dataset: Dataset,
  options: TextEncoderOptions,
  size: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<TokenChunk> {
  const { tokenizer, vocabularySize } = options;
  for (let first = 0; first < size; first += TEXTS_AT_ONCE) {
    signal?.throwIfAborted();
    const places = Array.from({ length: Math.min(TEXTS_AT_ONCE, size - first) }, (_, offset) => first + offset);
    const texts: string[] = [];
    const seconds: string[] = [];
    for (const index of places) {
      texts.push(decoded(await dataset.encoded(index), dataset.locate(index)));
      if (dataset.second !== undefined) seconds.push(decoded(await dataset.second(index), dataset.locate(index)));
    }
    const pairs = dataset.second === undefined ? undefined : seconds;
    const { ids, segments, lengths, wholeLengths } = await tokenizer.encode(texts, longestOf(options), pairs);
    const unknown = ids.find((id) => id < 0 || id >= vocabularySize);
    if (unknown !== undefined)
      throw new CheckpointError(
        `${tokenizer.file}: token ${unknown}: expected one of the model's ${vocabularySize} (vocab_size of config.json); take the tokenizer files of that model`,
      );
    const cut = wholeLengths.filter((whole, text) => whole > (lengths[text] ?? 0)).length;
    yield { tokens: Uint32Array.from(ids, (id, at) => packed(id, segments[at] ?? 0)), lengths, cut };
  }
}

function decoded(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new DataError(`${where}: expected a text in UTF-8, found other bytes; convert it to UTF-8`, { cause });
  }
}

function gather(
  rows: TokenRows,
  indices: Uint32Array,
  length: number,
  { tokenizer, inputs }: TextEncoderOptions,
): ReadonlyMap<string, ExampleValues> {
  const tokensBT = new Int32Array(indices.length * length).fill(tokenizer.padId ?? 0);
  const maskBT = new Uint8Array(indices.length * length);
  const segmentsBT = new Uint8Array(indices.length * length);
  for (const [row, index] of indices.entries()) {
    const own = rows.at(index);
    if (own.length > length)
      throw new RangeError(`text ${index} has ${own.length} tokens, and was to be padded to ${length}`);
    for (const [position, value] of own.entries()) {
      const at = row * length + position;
      tokensBT[at] = tokenOf(value);
      segmentsBT[at] = segmentOf(value);
      maskBT[at] = 1;
    }
  }
  const segments = inputs.segments === undefined ? [] : ([[inputs.segments, segmentsBT]] as const);
  return new Map<string, ExampleValues>([[inputs.tokens, tokensBT], [inputs.mask, maskBT], ...segments]);
}
