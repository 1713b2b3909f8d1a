/** The texts of a data set from its bytes: valid UTF-8 or refused with the place, corrupted if that was asked for. */
import { DataError } from "../../errors.js";
import type { ChosenCorruption } from "../corruption.js";
import type { Dataset } from "../readers/dataset-reader.js";
import { corruptText } from "./corruptions/registry.js";

export interface Texts {
  readonly texts: readonly string[];
  /** The other of each pair, where they are pairs. */
  readonly seconds: readonly string[] | undefined;
}

/** Texts `first` .. `first + count - 1`. Throws DataError for bytes that are not UTF-8. */
export async function readTexts(
  dataset: Dataset,
  corruption: ChosenCorruption | undefined,
  first: number,
  count: number,
): Promise<Texts> {
  const texts: string[] = [];
  const seconds: string[] = [];
  const read = (bytes: Uint8Array, index: number, part: 0 | 1): string => {
    const text = decoded(bytes, dataset.locate(index));
    return corruption === undefined ? text : corruptText(text, corruption, index, part);
  };
  for (let index = first; index < first + count; index++) {
    texts.push(read(await dataset.encoded(index), index, 0));
    if (dataset.second !== undefined) seconds.push(read(await dataset.second(index), index, 1));
  }
  return { texts, seconds: dataset.second === undefined ? undefined : seconds };
}

/** A byte order mark is a character of the text: whoever reads files takes it off. */
function decoded(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const place = firstBadByte(bytes);
    throw new DataError(
      `${where}: expected text in UTF-8, found byte 0x${(bytes[place] ?? 0).toString(16).padStart(2, "0")} at ${place}, which begins no character; store the text as UTF-8`,
    );
  }
}

/** The place of the first sequence of bytes that is no character. */
function firstBadByte(bytes: Uint8Array): number {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const encoder = new TextEncoder();
  // What is decoded leniently and encoded again is the same up to there.
  const again = encoder.encode(decoder.decode(bytes));
  const place = bytes.findIndex((byte, index) => byte !== again[index]);
  return place < 0 ? bytes.length - 1 : place;
}
