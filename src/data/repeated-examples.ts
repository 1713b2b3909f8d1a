/**
 * Which examples of a data set are the same: by their bytes, and where it matters by what their kind says of them, since one picture can lie in two
 * formats, and one text with and without a blank behind it. What divides a data set asks, so that no example is learned from in one part and judged
 * in the other.
 */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { kindOf } from "./kinds.js";
import type { Dataset } from "./readers/dataset-reader.js";
import { presentFile } from "./readers/file-names.js";

/** As many images as are decoded at once elsewhere: the threads of Node's pool. */
const CONCURRENCY = 4;
/** Between the two texts of a pair. */
const SEPARATOR = "\0";

/** For each example the first that has the same bytes: itself where there is none before. Files are read only where their sizes are equal. */
export async function firstsByBytes(dataset: Dataset, signal?: AbortSignal): Promise<Int32Array> {
  const sizes = await fileSizes(dataset);
  const counts = new Map<number, number>();
  for (const size of sizes ?? []) counts.set(size, (counts.get(size) ?? 0) + 1);
  const firsts = Int32Array.from({ length: dataset.size }, (_, index) => index);
  const known = new Map<string, number>();
  for (let index = 0; index < dataset.size; index++) {
    signal?.throwIfAborted();
    if (sizes !== undefined && counts.get(sizes[index] ?? 0) === 1) continue;
    firsts[index] = firstOf(known, await digestOfBytes(dataset, index), index);
  }
  return firsts;
}

async function digestOfBytes(dataset: Dataset, index: number): Promise<string> {
  const hash = createHash("sha256").update(await dataset.encoded(index));
  if (dataset.second !== undefined) hash.update(SEPARATOR).update(await dataset.second(index));
  return hash.digest("base64");
}

/**
 * The same by content, where bytes differ too: every image is decoded. `onContent` is told what was read, of examples with equal bytes that of the
 * first alone. Throws DataError for an example that cannot be read.
 */
export async function firstsByContent(
  dataset: Dataset,
  signal?: AbortSignal,
  onContent?: (index: number, parts: readonly (string | Uint8Array)[]) => void,
): Promise<Int32Array> {
  const byBytes = await firstsByBytes(dataset, signal);
  const digests = new Array<string>(dataset.size);
  let next = 0;
  const work = async () => {
    while (next < dataset.size) {
      const index = next++;
      signal?.throwIfAborted();
      if (byBytes[index] !== index) continue;
      const hash = createHash("sha256");
      const parts = await contentOf(dataset, index);
      onContent?.(index, parts);
      for (const part of parts) hash.update(part);
      digests[index] = hash.digest("base64");
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  const known = new Map<string, number>();
  const firsts = new Int32Array(dataset.size);
  for (const [index, first] of byBytes.entries())
    firsts[index] = first === index ? firstOf(known, digests[index] ?? "", index) : (firsts[first] ?? first);
  return firsts;
}

async function contentOf(dataset: Dataset, index: number): Promise<readonly (string | Uint8Array)[]> {
  const { content } = kindOf(dataset.kind);
  const one = async (encoded: Uint8Array) => content(encoded, dataset.locate(index), dataset.exifOrientation);
  const first = await one(await dataset.encoded(index));
  return dataset.second === undefined ? first : [...first, SEPARATOR, ...(await one(await dataset.second(index)))];
}

/** What a division of a data set keeps in one part. */
export interface KeptTogether {
  /** For each example the first of those that stay with it. */
  readonly firsts: Int32Array;
  /** Sentences for people about them. */
  readonly notices: readonly string[];
}

/** Of so many that are alike only through one another, most say different things: texts by one template, say. */
const MOST_ALIKE = 0.1;

/**
 * Examples that are the same by content, and those that their kind finds nearly the same: a model that has learned from one of them knows the
 * others. `place` begins the sentences. Throws DataError for an example that cannot be read.
 */
export async function keptTogether(dataset: Dataset, place: string, signal?: AbortSignal): Promise<KeptTogether> {
  const { nearFirsts, many } = kindOf(dataset.kind);
  const read = new Map<number, string>();
  const keep =
    nearFirsts === undefined
      ? undefined
      : (index: number, parts: readonly (string | Uint8Array)[]) => void read.set(index, parts.join(" "));
  const same = await firstsByContent(dataset, signal, keep);
  const notices = repeatNotices(place, same, dataset);
  if (nearFirsts === undefined) return { firsts: same, notices };
  // What has the bytes of another has its content too.
  const contents = Array.from(same, (first, index) => read.get(index) ?? read.get(first) ?? "");
  const near = nearFirsts(contents, same);
  if (near === undefined) {
    const skipped = `${place}: these are more ${many} than are searched for near duplicates: only equal ones stay in one split`;
    return { firsts: same, notices: [...notices, skipped] };
  }
  const more = near.reduce((count, first, index) => (same[index] === index && first !== index ? count + 1 : count), 0);
  if (more === 0) return { firsts: same, notices };
  const alike = `${place}: ${more} of ${near.length} ${many} are nearly the same as one before`;
  if (largestGroup(near) > Math.max(largestGroup(same), MOST_ALIKE * near.length))
    return {
      firsts: same,
      notices: [...notices, `${alike}, so many of them alike that they are divided as different`],
    };
  return { firsts: near, notices: [...notices, `${alike}: they stay in one split`] };
}

function largestGroup(firsts: Int32Array): number {
  const sizes = new Map<number, number>();
  for (const first of firsts) sizes.set(first, (sizes.get(first) ?? 0) + 1);
  return [...sizes.values()].reduce((most, size) => Math.max(most, size), 0);
}

/** The sentence about examples that repeat others; none without such. */
export function repeatNotices(
  place: string,
  firsts: Int32Array,
  { kind, labels }: Pick<Dataset, "kind" | "labels">,
): readonly string[] {
  const repeats = [...firsts.keys()].filter((index) => firsts[index] !== index);
  if (repeats.length === 0) return [];
  const others = repeats.filter((index) => labels !== undefined && labels[index] !== labels[firsts[index] ?? index]);
  const contrary = others.length === 0 ? "" : `; ${others.length} of them with another label`;
  return [
    `${place}: ${repeats.length} of ${firsts.length} ${kindOf(kind).many} are the same as one before${contrary}: they stay in one split`,
  ];
}

function firstOf(known: Map<string, number>, digest: string, index: number): number {
  const first = known.get(digest) ?? index;
  known.set(digest, first);
  return first;
}

/** Undefined where examples have no files of their own, or one is not there: reading it says so. */
async function fileSizes({ files }: Dataset): Promise<readonly number[] | undefined> {
  if (files === undefined) return undefined;
  const sizes: number[] = [];
  for (const file of files) {
    const found = await stat((await presentFile(file)) ?? file).catch(() => undefined);
    if (found === undefined) return undefined;
    sizes.push(found.size);
  }
  return sizes;
}
