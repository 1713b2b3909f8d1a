/**
 * Examples that come one by one, as chunks that a model is given: encoded together, those that cannot be read told
 * apart from the others. Memory holds two chunks at most: the one that is computed with and the next, which is encoded
 * meanwhile.
 */
import type { Encoder } from "../../data/encoder.js";
import type { ExampleStore } from "../../data/examples.js";
import { kindOf } from "../../data/kinds.js";
import type { Dataset } from "../../data/readers/dataset-reader.js";
import type { GivenExample } from "../../data/readers/given-examples.js";
import { DataError } from "../../errors.js";

/** A chunk of examples, in the order in which they were given. */
export interface ExampleChunk {
  readonly sources: readonly string[];
  /** Those that can be read; undefined where none can. */
  readonly store: ExampleStore | undefined;
  /** Where each example of the store stands in the chunk. */
  readonly places: readonly number[];
  /** Why the others cannot be read, by their places. */
  readonly failures: ReadonlyMap<number, DataError>;
}

export interface ChunkOptions {
  /** How many examples the first chunk has. */
  readonly first: number;
  /** What later ones grow to, each twice the one before. */
  readonly most: number;
  readonly maxLength: number | undefined;
  /** Called for chunks of which texts were cut. */
  readonly onCut: () => void;
  readonly signal: AbortSignal | undefined;
}

/** Throws what is no fault of an example's: an aborted signal, a model's file that is gone. */
export async function* exampleChunks(
  examples: AsyncIterable<GivenExample>,
  encoder: Encoder,
  options: ChunkOptions,
): AsyncGenerator<ExampleChunk> {
  const encode = (chunk: readonly GivenExample[]) => encodeChunk(chunk, encoder, options);
  let next: Promise<ExampleChunk> | undefined;
  try {
    for await (const chunk of gathered(examples, options)) {
      const before = next;
      const chunkBefore = before === undefined ? undefined : await before;
      next = encode(chunk);
      // It is waited for below, but not before the consumer is done with the chunk before.
      next.catch(() => {});
      if (chunkBefore !== undefined) yield chunkBefore;
    }
    if (next !== undefined) yield await next;
  } finally {
    await next?.catch(() => {});
  }
}

/** Lists of examples: pairs and single texts apart, since a store has one or the other. */
async function* gathered(
  examples: AsyncIterable<GivenExample>,
  { first, most, signal }: Pick<ChunkOptions, "first" | "most" | "signal">,
): AsyncGenerator<readonly GivenExample[]> {
  let chunk: GivenExample[] = [];
  let size = first;
  for await (const example of examples) {
    signal?.throwIfAborted();
    const isOther = chunk[0] !== undefined && (chunk[0].second === undefined) !== (example.second === undefined);
    if (chunk.length === size || isOther) {
      yield chunk;
      if (chunk.length === size) size = Math.min(most, 2 * size);
      chunk = [];
    }
    chunk.push(example);
  }
  if (chunk.length > 0) yield chunk;
}

async function encodeChunk(
  examples: readonly GivenExample[],
  encoder: Encoder,
  { maxLength, onCut, signal }: ChunkOptions,
): Promise<ExampleChunk> {
  const open = (places: readonly number[]) =>
    encoder.open(
      datasetOf(
        places.flatMap((place) => examples[place] ?? []),
        encoder,
      ),
      {
        ...{ maxLength, signal },
        notice: onCut,
      },
    );
  const all = examples.map((_, place) => place);
  const sources = examples.map(({ source }) => source);
  try {
    return { sources, store: await open(all), places: all, failures: new Map() };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
  }
  // One of them cannot be read: which, each says by itself.
  const failures = new Map<number, DataError>();
  for (const place of all) {
    try {
      await open([place]);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      failures.set(place, error);
    }
  }
  const places = all.filter((place) => !failures.has(place));
  return { sources, store: places.length === 0 ? undefined : await open(places), places, failures };
}

function datasetOf(examples: readonly GivenExample[], { kind }: Encoder): Dataset {
  const at = (index: number): GivenExample => {
    const example = examples[index];
    if (example === undefined) throw new RangeError(`example ${index} of ${examples.length}`);
    return example;
  };
  const isPairs = examples[0]?.second !== undefined;
  return {
    ...{ kind, name: kindOf(kind).many, split: "given", size: examples.length },
    locate: (index) => at(index).source,
    encoded: (index) => at(index).encoded(),
    ...(isPairs ? { second: async (index: number) => (await at(index).second?.()) ?? new Uint8Array() } : {}),
  };
}
