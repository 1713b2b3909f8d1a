/**
 * Texts as the examples of a model: a split is tokenized once, by the model's own tokenizer, and kept in a cache file keyed by content, from which
 * batches are read. N examples, B of a batch, T tokens.
 */
import { createHash } from "node:crypto";
import { DataError } from "../../errors.js";
import { readAt } from "../../runtime/open-files.js";
import { type ChosenCorruption, chosenCorruption } from "../corruption.js";
import type { EncodeOptions, Encoder } from "../encoder.js";
import { cacheFile, DEFAULT_CACHE_BYTES, fillCache, findCached } from "../example-cache.js";
import type { ExampleStore, ExampleValues, LabelledExamples } from "../examples.js";
import { paddedLength } from "../lengths.js";
import type { Dataset } from "../readers/dataset-reader.js";
import { TEXT_CORRUPTION_VERSION, textCorruptions } from "./corruptions/registry.js";
import { readTexts } from "./read-texts.js";
import { type TextTokenizer, TOKENIZER_VERSION } from "./text-tokenizer.js";
import {
  idBytesOf,
  lengthsOf,
  rowsOf,
  type TokenFormat,
  type TokenRows,
  tokensInFile,
  tokensInMemory,
} from "./token-rows.js";
import type { TokenBatch } from "./tokenizer-protocol.js";

/** What a model says of the texts that it takes. */
export interface TextModel {
  readonly tokenizer: TextTokenizer;
  /** The lengths that texts are padded to, ascending; what is longer than the last one is cut. */
  readonly lengths: readonly number[];
  /** Rows of the model's table of words. */
  readonly vocabularySize: number;
  /** Where that is said, for messages: "config.json". */
  readonly vocabularySource: string;
  /** Whether the model is given `token_type_ids`. */
  readonly hasSegments: boolean;
  /** The token that pads; that of the tokenizer, or else 0, if absent. */
  readonly padId?: number | undefined;
}

/** Part of every key: raise it when what a file holds changes. */
const CACHE_VERSION = 1;
const KIND = "tokens";
/** Texts that the thread is given at once: it bounds memory, and how long one request may take. */
const BATCH_TEXTS = 512;

/**
 * The encoder of texts: tokens by the model's tokenizer, padded to the lengths that it has. Its `open` throws
 * DataError for a text that cannot be read.
 */
export function textEncoder(model: TextModel): Encoder {
  return { kind: "text", open: (dataset, options) => loadTokens(dataset, model, options) };
}

/** What the tokens of a split depend on. */
interface Encoding {
  readonly dataset: Dataset;
  readonly model: TextModel;
  /** For messages. */
  readonly name: string;
  /** Tokens of each text at most. */
  readonly most: number;
  readonly corruption: ChosenCorruption | undefined;
  readonly signal: AbortSignal | undefined;
  readonly format: TokenFormat;
}

/**
 * Tokenizes a split into the cache, or finds it there. A cache file that is damaged is made anew; without a cache, or with one whose disk refuses,
 * tokens are held in memory. Throws DataError naming the first text that is not UTF-8 or has a token that the model does not know.
 */
async function loadTokens(
  dataset: Dataset,
  model: TextModel,
  options: EncodeOptions,
): Promise<ExampleStore | LabelledExamples> {
  const { limit, corruption, signal, maxLength, cacheDir, cacheBytes = DEFAULT_CACHE_BYTES } = options;
  const size = Math.min(dataset.size, limit ?? dataset.size);
  const name = `${dataset.name}, split ${dataset.split}`;
  if (size < 1) throw new DataError(`${name}: expected at least 1 text, found a limit of ${limit}`);
  if (corruption !== undefined) chosenCorruption(textCorruptions, corruption, "texts");
  const longest = model.lengths.at(-1) ?? 0;
  const most = Math.min(longest, maxLength ?? longest);
  if (maxLength !== undefined && maxLength > longest)
    options.notice?.(`max_length ${maxLength} is more than the model's folder says it takes: ${longest} tokens count`);
  const format: TokenFormat = {
    count: size,
    idBytes: idBytesOf(model.vocabularySize),
    hasSegments: model.hasSegments,
  };
  const encoding: Encoding = { dataset, model, name, most, corruption, signal, format };
  const key = cacheDir === undefined ? undefined : await tokenCacheKey(encoding);
  const kept = key === undefined || cacheDir === undefined ? undefined : { cacheDir, kind: KIND, key };
  const found = kept === undefined ? undefined : await rowsFromCache(kept, format);
  const { tokens, cut } = found ?? (await encode(encoding, kept, cacheBytes));
  if (cut.texts > 0)
    options.notice?.(`${name}: cut ${cut.texts} of ${size} texts after ${most} tokens; the longest has ${cut.longest}`);
  const { classes, labels, unlabelled } = dataset;
  const base = {
    ...textExamples(name, tokens, model),
    ...(classes === undefined ? {} : { classes }),
    ...(unlabelled === undefined ? {} : { unlabelled }),
    ...(key === undefined ? {} : { fingerprint: key }),
  } as const;
  return labels === undefined ? base : { ...base, labels: labels.slice(0, size) };
}

/** Tokens as the examples of a model: `input_ids`, `attention_mask` and, where the model has segments, `token_type_ids`, [B, T], padded on the right. */
function textExamples(
  name: string,
  tokens: TokenRows,
  { lengths, hasSegments, padId, tokenizer }: TextModel,
): ExampleStore {
  const pad = padId ?? tokenizer.padId ?? 0;
  return {
    kind: "text",
    name,
    size: tokens.lengths.length,
    lengths: tokens.lengths,
    gather: (indices, length) => {
      const needed = indices.reduce((longest, index) => Math.max(longest, tokens.lengths[index] ?? 0), 0);
      const width = length ?? paddedLength(lengths, needed);
      if (needed > width)
        throw new DataError(
          `${name}: expected a length of at least ${needed} tokens, found ${width}: a bug, please report it`,
        );
      const ids = new Int32Array(indices.length * width).fill(pad);
      const mask = new Uint8Array(indices.length * width);
      const segments = hasSegments ? new Uint8Array(indices.length * width) : undefined;
      for (const [position, index] of indices.entries()) {
        tokens.copy(index, position * width, ids, segments);
        mask.fill(1, position * width, position * width + (tokens.lengths[index] ?? 0));
      }
      const values: [string, ExampleValues][] = [
        ["input_ids", ids],
        ["attention_mask", mask],
      ];
      if (segments !== undefined) values.push(["token_type_ids", segments]);
      return new Map(values);
    },
  };
}

/** The hash (hex) of the texts and of all that their tokens depend on. */
async function tokenCacheKey({ dataset, model, most, corruption, format }: Encoding): Promise<string> {
  const corrupted = corruption === undefined ? [] : [TEXT_CORRUPTION_VERSION, corruption];
  const facts = [CACHE_VERSION, TOKENIZER_VERSION, model.tokenizer.fingerprint, most, format, ...corrupted];
  const hash = createHash("sha256").update(JSON.stringify(facts));
  for (let index = 0; index < format.count; index++) {
    // The length keeps the borders between texts apart.
    const text = await dataset.encoded(index);
    hash.update(`;${text.byteLength};`).update(text);
    const second = await dataset.second?.(index);
    if (second !== undefined) hash.update(`,${second.byteLength};`).update(second);
  }
  return hash.digest("hex");
}

/** Texts that were cut, and what the longest of them would have had. */
interface Cut {
  texts: number;
  longest: number;
}

interface Encoded {
  readonly tokens: TokenRows;
  readonly cut: Cut;
}

type Place = Parameters<typeof findCached>[0];

/** The last eight bytes of a file say what was cut. */
const CUT_BYTES = 8;

async function rowsFromCache(place: Place, format: TokenFormat): Promise<Encoded | undefined> {
  const length = await findCached(place);
  if (length === undefined || length < CUT_BYTES) return undefined;
  const path = cacheFile(place);
  const tokens = tokensInFile(path, length - CUT_BYTES, format);
  return tokens === undefined ? undefined : { tokens, cut: readCut(path, length) };
}

function readCut(path: string, length: number): Cut {
  const bytes = Buffer.alloc(CUT_BYTES);
  readAt(path, bytes, length - CUT_BYTES);
  return { texts: bytes.readInt32LE(0), longest: bytes.readInt32LE(4) };
}

async function encode(encoding: Encoding, place: Place | undefined, mostBytes: number): Promise<Encoded> {
  const { format } = encoding;
  const cut: Cut = { texts: 0, longest: 0 };
  const lengths = new Int32Array(format.count);
  const run = async (append: (content: Uint8Array) => Promise<void>) => {
    Object.assign(cut, { texts: 0, longest: 0 });
    for (let first = 0; first < format.count; first += BATCH_TEXTS) {
      const batch = await tokenBatch(encoding, first, Math.min(BATCH_TEXTS, format.count - first));
      count(batch, cut);
      lengths.set(batch.lengths, first);
      await append(rowsOf(batch, format));
    }
  };
  if (place !== undefined) {
    const isFilled = await fillCache(place, { mostBytes }, async (append) => {
      await run(append);
      await append(lengthsOf(lengths));
      await append(lengthsOf(Int32Array.of(cut.texts, cut.longest)));
    });
    const found = isFilled ? await rowsFromCache(place, format) : undefined;
    if (found !== undefined) return found;
  }
  const chunks: Uint8Array[] = [];
  await run(async (content) => {
    chunks.push(content);
  });
  return { tokens: tokensInMemory(Buffer.concat(chunks), lengths, format), cut };
}

function count({ lengths, wholeLengths }: TokenBatch, cut: Cut): void {
  for (const [index, length] of lengths.entries()) {
    const whole = wholeLengths[index] ?? 0;
    if (whole > length) cut.texts += 1;
    if (whole > length) cut.longest = Math.max(cut.longest, whole);
  }
}

/** Tokens of examples `first` .. `first + count - 1`. */
async function tokenBatch(encoding: Encoding, first: number, count: number): Promise<TokenBatch> {
  const { dataset, model, most, corruption, signal } = encoding;
  signal?.throwIfAborted();
  const { texts, seconds } = await readTexts(dataset, corruption, first, count);
  const batch = await model.tokenizer.encode(texts, most, seconds);
  requireKnown(encoding, batch, first);
  return batch;
}

function requireKnown({ dataset, model }: Encoding, { ids, lengths }: TokenBatch, first: number): void {
  let at = 0;
  for (const [position, length] of lengths.entries()) {
    const strange = ids.subarray(at, at + length).find((id) => id >= model.vocabularySize);
    at += length;
    if (strange !== undefined)
      throw new DataError(
        `${dataset.locate(first + position)}: expected tokens below the model's vocab_size ${model.vocabularySize} (${model.vocabularySource}), found ${strange} from ${model.tokenizer.file}; take the tokenizer files that belong to the model`,
      );
  }
}
